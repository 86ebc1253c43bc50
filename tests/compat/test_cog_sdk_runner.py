"""Which method of a class runs, and what is called before and beside it."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from servekit.compat.cog import BasePredictor, BaseRunner
from servekit.compat.cog.loading import load_predictor_from_ref
from servekit.compat.cog.runner import choose_method, list_deprecations
from servekit.compat.predictor import CogPredictor
from servekit.errors import PredictorError

Load = Callable[[str], CogPredictor]


class Mixin:
    def predict(self, text: str) -> str:
        return text


class Old(BasePredictor):
    def predict(self, text: str) -> str:
        return text.upper()


class New(BaseRunner):
    def run(self, text: str) -> str:
        return text.upper()


class Inheriting(New):
    pass


class Left(BaseRunner):
    pass


class Diamond(Left, New):
    pass


class Plain:
    def predict(self) -> None: ...


@pytest.mark.parametrize(
    ("target", "method"),
    [(Old, "predict"), (New, "run"), (Inheriting, "run"), (Diamond, "run"), (Plain, "predict")],
)
def test_a_class_is_run_by_the_method_that_its_author_wrote(target: type, method: str) -> None:
    assert choose_method(target, "X") == method


class Both(New):
    def predict(self, text: str) -> str:
        return text


class Behind(BaseRunner, Mixin):
    pass


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (Both, r"X must define either run\(\) or predict\(\), not both"),
        (Behind, "run or predict method not found: X"),
        (Left, "run or predict method not found: X"),
    ],
)
def test_a_class_with_both_methods_or_none_is_refused(target: type, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        choose_method(target, "X")


@pytest.mark.parametrize(
    ("target", "sentences"),
    [
        (New, []),
        (Plain, ["X.predict() is deprecated; use run() instead"]),
        (
            Old,
            ["X.predict() is deprecated; use run() instead", "BasePredictor is deprecated; use BaseRunner instead"],
        ),
    ],
)
def test_old_names_are_told(target: type, sentences: list[str]) -> None:
    assert list_deprecations(target, "X") == sentences


def test_what_is_deprecated_goes_to_the_log_when_the_predictor_is_loaded(
    load_runner: Load, capsys: pytest.CaptureFixture[str]
) -> None:
    load_runner("from cog import BasePredictor\nclass Runner(BasePredictor):\n    def predict(self) -> int: return 1\n")

    assert capsys.readouterr().err == (
        "cog: Runner.predict() is deprecated; use run() instead\n"
        "cog: BasePredictor is deprecated; use BaseRunner instead\n"
    )


def test_a_class_without_a_method_fails_to_load_with_the_words_of_cog(load_runner: Load) -> None:
    with pytest.raises(PredictorError, match="run or predict method not found: Runner"):
        load_runner("from cog import BaseRunner\nclass Runner(BaseRunner): ...\n")


def test_what_is_neither_class_nor_function_fails_to_load(load_runner: Load) -> None:
    with pytest.raises(PredictorError, match=r"run.py:Runner is an int, not a predictor"):
        load_runner("Runner = 42\n")


def test_a_plain_function_is_a_predictor(load_runner: Load) -> None:
    loaded = load_runner("def Runner(n: int) -> int: return n + 1\n")

    assert loaded.instantiate().predict(n=1) == 2


def test_run_calls_a_predict_of_the_author_s() -> None:
    assert Old().run("a") == "A"


def test_predict_calls_run_and_warns() -> None:
    with pytest.warns(DeprecationWarning, match=r"New\.predict\(\) is deprecated; use run\(\) instead"):
        assert New().predict(text="a") == "A"


def test_a_runner_without_run_says_that_it_has_none() -> None:
    with pytest.raises(NotImplementedError, match="run has not been implemented"):
        BaseRunner().run()


SETUPS = {
    "none": ("", None),
    "without weights": ("def setup(self): self.weights = 'not asked for'", "not asked for"),
    "required": ("def setup(self, weights): self.weights = weights", "w.bin"),
    "with a default": ("def setup(self, weights=None): self.weights = weights", "w.bin"),
}


@pytest.mark.parametrize(("setup", "weights"), SETUPS.values(), ids=SETUPS)
def test_setup_gets_the_weights_of_the_environment_if_it_takes_them(
    load_runner: Load, monkeypatch: pytest.MonkeyPatch, setup: str, weights: str | None
) -> None:
    monkeypatch.setenv("COG_WEIGHTS", "w.bin")
    loaded = load_runner(
        f"from cog import BaseRunner\nclass Runner(BaseRunner):\n    weights = None\n    {setup or 'pass'}\n"
        "    def run(self) -> str: return self.weights\n"
    )

    handle = loaded.instantiate()
    if handle.setup is not None:
        handle.setup()

    assert handle.predict() == weights


def test_without_the_variable_the_weights_are_none(load_runner: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COG_WEIGHTS", raising=False)
    handle = load_runner(
        "class Runner:\n    def setup(self, weights): self.weights = weights\n    def run(self): return self.weights\n"
    ).instantiate()

    assert handle.setup is not None
    handle.setup()

    assert handle.predict() is None


def test_a_healthcheck_is_there_only_if_the_author_wrote_one(load_runner: Load) -> None:
    bare = load_runner("from cog import BaseRunner\nclass Runner(BaseRunner):\n    def run(self) -> int: return 1\n")
    checked = load_runner("class Runner:\n    def run(self): ...\n    def healthcheck(self): return False\n")

    assert (bare.has_healthcheck, bare.instantiate().healthcheck) == (False, None)
    check = checked.instantiate().healthcheck
    assert checked.has_healthcheck
    assert check is not None
    assert check() is False


# ---------------------------------------------------------------------- load_predictor_from_ref

RUN = "def run(self, text: str) -> str: return 'ran ' + text"


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    def write_module(code: str) -> str:
        (tmp_path / "project").mkdir(exist_ok=True)
        file = tmp_path / "project" / "model.py"
        file.write_text(code)
        monkeypatch.delitem(sys.modules, "model", raising=False)
        return str(file)

    return write_module


def test_a_reference_without_a_class_means_the_runner(write: Callable[[str], str]) -> None:
    assert load_predictor_from_ref(write(f"class Runner:\n    {RUN}\n")).run(text="x") == "ran x"


def test_a_reference_names_a_class_or_a_function(write: Callable[[str], str]) -> None:
    file = write(f"class Other:\n    {RUN}\ndef train(n: int) -> int: return n\n")

    assert load_predictor_from_ref(f"{file}:Other").run("x") == "ran x"
    assert load_predictor_from_ref(f"{file}:train")(3) == 3


WARNINGS = {
    "both classes": (
        f"class Runner:\n    {RUN}\nclass Predictor: pass\n",
        UserWarning,
        "Both Runner and Predictor are defined",
    ),
    "the old class": (f"class Predictor:\n    {RUN}\n", DeprecationWarning, "Predictor is deprecated; use Runner"),
    "the old class beside no runner": (
        f"Runner = 42\nclass Predictor:\n    {RUN}\n",
        DeprecationWarning,
        "Predictor is deprecated; use Runner",
    ),
    "the old base": (
        f"from servekit.compat.cog import BasePredictor\nclass Runner(BasePredictor):\n    {RUN}\n",
        DeprecationWarning,
        "BasePredictor is deprecated",
    ),
}


@pytest.mark.parametrize(("code", "category", "message"), WARNINGS.values(), ids=WARNINGS)
def test_a_reference_to_something_old_works_and_warns(
    write: Callable[[str], str], code: str, category: type[Warning], message: str
) -> None:
    with pytest.warns(category, match=message):
        assert load_predictor_from_ref(write(code)).run(text="x") == "ran x"


FAULTS = {
    "no method": ("class Runner: pass\n", ValueError, "run or predict method not found: Runner"),
    "no class": ("Runner = 42\n", TypeError, "Runner exists but is not a class or callable"),
    "nothing": ("", AttributeError, "has no Runner or Predictor"),
}


@pytest.mark.parametrize(("code", "kind", "message"), FAULTS.values(), ids=FAULTS)
def test_a_reference_to_no_predictor_is_refused(
    write: Callable[[str], str], code: str, kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        load_predictor_from_ref(write(code))
