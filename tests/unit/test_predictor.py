"""Loading a predictor: what each reference gives, and the sentence for each way to fail."""

import json
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from servekit.errors import PredictorError, SignatureError
from servekit.predictor import BasePredictor, Input, load_predictor


@pytest.fixture(autouse=True)
def _restore_imports() -> Iterator[None]:
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def write(folder: Path, **files: str) -> Path:
    for name, source in files.items():
        (folder / f"{name}.py").write_text(source)
    return folder


SIMPLE = "class Predictor:\n    def predict(self, text: str) -> str:\n        return text.upper()\n"


def test_a_class_in_a_file_is_found_and_makes_an_instance(tmp_path: Path) -> None:
    loaded = load_predictor("predict.py:Predictor", write(tmp_path, predict=SIMPLE))

    assert loaded.is_class
    assert loaded.instantiate().predict(text="a") == "A"


def test_a_function_in_a_file_is_a_predictor(tmp_path: Path) -> None:
    loaded = load_predictor("predict.py:run", write(tmp_path, predict="def run(n: int) -> int:\n    return n + 1\n"))

    handle = loaded.instantiate()

    assert not loaded.is_class
    assert (handle.predict(n=1), handle.setup, handle.healthcheck, handle.teardown) == (2, None, None, None)


def test_a_name_in_a_package_is_found(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    write(tmp_path / "shop", __init__="", model=SIMPLE)

    assert load_predictor("shop.model:Predictor", tmp_path).instantiate().predict(text="b") == "B"


def test_a_package_in_the_src_of_a_python_project_is_found(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "src" / "shop").mkdir(parents=True)
    write(tmp_path / "src" / "shop", __init__="", model=SIMPLE)
    write(tmp_path, predict="from shop.model import Predictor\n")

    for reference in ("shop.model:Predictor", "predict.py:Predictor", "src/shop/model.py:Predictor"):
        assert load_predictor(reference, tmp_path).instantiate().predict(text="b") == "B"


def test_a_nested_name_is_found(tmp_path: Path) -> None:
    write(tmp_path, predict="class Outer:\n    class Inner:\n        def predict(self) -> int:\n            return 7\n")

    assert load_predictor("predict.py:Outer.Inner", tmp_path).instantiate().predict() == 7


def test_only_the_methods_that_the_author_wrote_are_called(tmp_path: Path) -> None:
    source = (
        "from servekit.predictor import BasePredictor\n"
        "class Predictor(BasePredictor):\n"
        "    def setup(self): self.ready = True\n"
        "    def predict(self) -> bool: return self.ready\n"
    )
    loaded = load_predictor("predict.py:Predictor", write(tmp_path, predict=source))

    handle = loaded.instantiate()

    assert handle.setup is not None
    assert (handle.healthcheck, handle.teardown, loaded.has_healthcheck) == (None, None, False)


def test_modules_beside_the_file_and_in_the_root_can_be_imported(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    write(tmp_path, near_root="A = 1\n")
    write(tmp_path / "src", near_file="B = 2\n", predict="import near_root, near_file\ndef run() -> int: return 3\n")

    assert load_predictor("src/predict.py:run", tmp_path).instantiate().predict() == 3


def test_the_module_is_registered_so_that_its_classes_can_be_pickled(tmp_path: Path) -> None:
    source = "import dataclasses\n@dataclasses.dataclass\nclass Point:\n    x: 'int'\ndef run() -> None: ...\n"
    load_predictor("predict.py:run", write(tmp_path, predict=source))

    point = sys.modules["predict"].Point(3)

    assert pickle.loads(pickle.dumps(point)) == point


def test_a_file_named_like_a_standard_module_does_not_replace_it(tmp_path: Path) -> None:
    load_predictor("json.py:run", write(tmp_path, json="def run() -> None: ...\n"))

    assert sys.modules["json"] is json


def test_two_projects_with_files_of_one_name_do_not_meet(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write(tmp_path / name, predict=f"def run() -> str:\n    return '{name}'\n")

    loaded = [load_predictor("predict.py:run", tmp_path / name) for name in ("a", "b")]

    assert [each.instantiate().predict() for each in loaded] == ["a", "b"]


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("predict.py", r'names no class or function; write "predict.py:Predictor"'),
        ("predict", 'write "file.py:Class"'),
        (":Predictor", 'write "file.py:Class"'),
        ("predict.py:", 'write "file.py:Class"'),
        ("predict.py:a b", 'write "file.py:Class"'),
        ("predict.txt/x:Predictor", "neither a .py file nor a module"),
        ("predct.py:Predictor", 'there is no file predct.py in .*did you mean "predict.py"'),
        ("zzz.py:Predictor", "the Python files there are predict.py"),
        ("models/predict.py:Predictor", "there is no file predict.py in .*models$"),
        ("predict.py:Predictr", 'there is no "Predictr" .*did you mean "Predictor"'),
        ("predict.py:Zzzzzz", "it defines Empty, NeedsArguments, NotCallable, Predictor, Typo"),
        ("predict.py:constant", "is an int, not a predictor"),
        ("predict.py:Empty", "has no predict method; write `def predict"),
        ("predict.py:Typo", 'has no predict method; did you mean "predcit"'),
        ("predict.py:NeedsArguments", "its __init__ needs size.*load the model in setup"),
        ("predict.py:NotCallable", "predict is an int"),
        ("no_such_module:Predictor", 'there is no module "no_such_module"'),
    ],
)
def test_each_way_to_fail_has_its_own_sentence(tmp_path: Path, reference: str, message: str) -> None:
    source = (
        f"{SIMPLE}"
        "from servekit.predictor import BasePredictor\n"
        "class Empty(BasePredictor): ...\n"
        "class Typo:\n    def predcit(self): ...\n"
        "class NeedsArguments:\n    def __init__(self, size): ...\n    def predict(self): ...\n"
        "class NotCallable:\n    predict = 3\n"
        "constant = 5\n"
    )
    write(tmp_path, predict=source)

    with pytest.raises(PredictorError, match=message):
        load_predictor(reference, tmp_path)


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("import no_such_package_anywhere\n", ModuleNotFoundError),
        ("def broken(:\n", SyntaxError),
        ("1 / 0\n", ZeroDivisionError),
        ("raise SystemExit(3)\n", SystemExit),
    ],
)
@pytest.mark.parametrize("reference", ["predict.py:Predictor", "predict:Predictor"])
def test_what_the_authors_module_raises_travels_on_untouched(
    tmp_path: Path, reference: str, source: str, error: type[BaseException]
) -> None:
    write(tmp_path, predict=source)

    with pytest.raises(error):
        load_predictor(reference, tmp_path)

    assert "predict" not in sys.modules


def test_what_the_authors_init_raises_travels_on_untouched(tmp_path: Path) -> None:
    source = "class Predictor:\n    def __init__(self): raise KeyError('mine')\n    def predict(self): ...\n"
    loaded = load_predictor("predict.py:Predictor", write(tmp_path, predict=source))

    with pytest.raises(KeyError, match="mine"):
        loaded.instantiate()


def test_static_and_class_methods_can_be_predict(tmp_path: Path) -> None:
    source = (
        "class Static:\n    @staticmethod\n    def predict(n: int) -> int: return n\n"
        "class OfClass:\n    @classmethod\n    def predict(cls, n: int) -> int: return n\n"
    )
    write(tmp_path, predict=source)

    loaded = [load_predictor(f"predict.py:{name}", tmp_path) for name in ("Static", "OfClass")]

    assert [each.instantiate().predict(n=4) for each in loaded] == [4, 4]


@pytest.mark.parametrize(
    ("parameters", "remedy"),
    [
        ("x: int = 1", "self, x"),
        ("x: int, y: int", "self, x, y"),
        ("x=1", "self, x"),
        ("x", "self, x"),
        ("*, x", "self, x"),
        ("", "self"),
    ],
)
def test_a_method_without_self_is_refused(tmp_path: Path, parameters: str, remedy: str) -> None:
    write(tmp_path, predict=f"class Predictor:\n    def predict({parameters}): ...\n")

    with pytest.raises(SignatureError, match=rf"predict takes no self; write `def predict\({remedy}\)`"):
        load_predictor("predict.py:Predictor", tmp_path)


@pytest.mark.parametrize("parameters", ["self", "self: object, x: int", "this, x: int", "_", "*arguments"])
def test_a_method_may_name_its_self_as_it_likes(tmp_path: Path, parameters: str) -> None:
    write(tmp_path, predict=f"class Predictor:\n    def predict({parameters}): ...\n")

    assert load_predictor("predict.py:Predictor", tmp_path).is_class


def test_input_passes_for_any_type() -> None:
    number: int = Input(3, ge=1)

    assert getattr(number, "default") == 3  # noqa: B009 - to a type checker it is an int


def test_a_method_of_any_signature_may_stand_in_for_those_of_the_base() -> None:
    class Mine(BasePredictor):
        async def setup(self) -> None: ...

        def predict(self, text: str, n: int = 2) -> str:
            return text * n

    assert Mine().predict("a") == "aa"
