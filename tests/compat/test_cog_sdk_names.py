"""What `import cog` finds, where, and where not."""

import importlib
import importlib.util
import subprocess
import sys
import types
import venv
from pathlib import Path

import pytest

from servekit import errors
from servekit import types as own_types
from servekit.compat import cog
from servekit.compat.importing import add_cog_to_environment, importable_cog
from servekit.spec import load_spec
from servekit_cli.image.preparation import EngineFacts, prepare_build

PUBLIC = {
    "AsyncConcatenateIterator", "BaseModel", "BasePredictor", "BaseRunner", "CancelationException",
    "ConcatenateIterator", "ExperimentalFeatureWarning", "FieldInfo", "File", "Input", "Opaque", "Path", "Secret",
    "URLFile", "URLPath", "__version__", "concurrent", "current_scope", "emit_metric", "streaming",
}  # fmt: skip


def run_python(code: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)


def test_every_public_name_of_cog_is_exported() -> None:
    assert set(cog.__all__) == PUBLIC


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_import_cog_gives_every_public_name(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with importable_cog():
        found = getattr(importlib.import_module("cog"), name)

    assert found is getattr(cog, name)
    capsys.readouterr()


@pytest.mark.parametrize("name", ["Path", "File", "ConcatenateIterator", "AsyncConcatenateIterator"])
def test_what_is_the_same_in_servekit_is_servekit_s_own(name: str) -> None:
    assert getattr(cog, name) is getattr(own_types, name)


def test_a_cancelation_is_servekit_s_own_and_no_exception_that_a_model_catches_by_chance() -> None:
    assert cog.CancelationException is errors.CancelationError
    assert not issubclass(cog.CancelationException, Exception)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("cog.input", "Input"),
        ("cog.model", "BaseModel"),
        ("cog.predictor", "BasePredictor"),
        ("cog.predictor", "load_predictor_from_ref"),
        ("cog.server.exceptions", "CancelationException"),
        ("cog.server.scope", "current_scope"),
        ("cog.types", "Path"),
        ("cog.types", "Secret"),
    ],
)
def test_modules_that_projects_import_have_their_names(module: str, name: str) -> None:
    with importable_cog():
        assert hasattr(importlib.import_module(module), name)


def test_a_name_that_cog_does_not_have_is_named_in_the_error() -> None:
    with importable_cog(), pytest.raises(ImportError, match="cannot import name 'Nothing' from 'cog'"):
        exec("from cog import Nothing")


@pytest.mark.parametrize("name", ["ExperimentalFeatureWarning", "emit_metric"])
def test_a_deprecated_name_says_so_once(name: str) -> None:
    code = f"from cog import {name}; from cog import {name}; import cog; cog.{name}"

    done = run_python(code, add_cog_to_environment({}))

    assert done.returncode == 0, done.stderr
    assert done.stderr.count("\n") == 1
    assert f"cog: {name}" in done.stderr
    assert "is deprecated" in done.stderr


def test_version_is_one_that_versions_can_be_compared_with() -> None:
    packaging = pytest.importorskip("packaging.version")

    assert packaging.Version(cog.__version__) >= packaging.Version("0.23")


def test_the_way_of_writing_from_before_cog_0_1_is_named() -> None:
    with pytest.raises(ImportError, match=r"cog\.Predictor is of Cog before 0\.1\. Write"):
        _ = getattr(cog, "Predictor")  # noqa: B009 - as code that was never checked says it


# ---------------------------------------------------------------------- where it is found


def test_outside_of_a_cog_project_import_cog_fails_as_ever() -> None:
    done = run_python("import servekit, servekit.runtime.worker, servekit.compat.cog\nimport cog")

    assert "ModuleNotFoundError: No module named 'cog'" in done.stderr


def test_after_the_last_of_several_cog_projects_nothing_is_left() -> None:
    first, second = importable_cog(), importable_cog()
    path = list(sys.path)

    with first:
        second.__enter__()
    assert importlib.util.find_spec("cog") is not None
    second.__exit__(None, None, None)

    assert sys.path == path
    assert [name for name in sys.modules if name.partition(".")[0] == "cog"] == []
    assert importlib.util.find_spec("cog") is None


def test_a_real_cog_that_is_imported_already_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    real, part = types.ModuleType("cog"), types.ModuleType("cog.types")
    monkeypatch.setitem(sys.modules, "cog", real)
    monkeypatch.setitem(sys.modules, "cog.types", part)

    with importable_cog(), importable_cog():
        inside = importlib.import_module("cog").Path

    assert inside is cog.Path
    assert importlib.import_module("cog") is real
    assert importlib.import_module("cog.types") is part


def test_a_real_cog_that_is_installed_stands_back_in_a_cog_project_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cog.py").write_text("real = True\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])

    with importable_cog():
        assert not hasattr(importlib.import_module("cog"), "real")

    assert importlib.import_module("cog").real
    del sys.modules["cog"]


def test_classes_are_the_same_after_cog_was_forgotten_and_imported_again() -> None:
    with importable_cog():
        first = importlib.import_module("cog").BaseRunner
    with importable_cog():
        second = importlib.import_module("cog").BaseRunner

    assert first is second


def test_programs_that_a_worker_starts_can_import_cog_and_keep_their_own_paths() -> None:
    environment = add_cog_to_environment({"PYTHONPATH": "/elsewhere"})

    done = run_python("import sys, cog; print(cog.Path.__module__, '/elsewhere' in sys.path)", environment)

    assert done.stdout == "servekit.types True\n"


def test_in_an_environment_of_its_own_every_program_can_import_cog(tmp_path: Path) -> None:
    venv.create(tmp_path, symlinks=True)
    python, own = str(tmp_path / "bin" / "python"), {"PYTHONPATH": str(Path(cog.__file__).parents[3])}
    program = [python, "-c", "import cog.server.http; print(cog.Input(3).default)"]

    before = subprocess.run(program, env=own, capture_output=True, text=True, check=False)
    subprocess.run([python, "-P", "-m", "servekit.compat.importing"], env=own, check=True)
    after = subprocess.run(program, env=own, capture_output=True, text=True, check=False)

    assert "No module named 'cog'" in before.stderr
    assert after.stdout == "3\n", after.stderr


@pytest.mark.parametrize(
    ("name", "text"), [("cog.yaml", "run: run.py:Runner"), ("servekit.yaml", "predictor: run.py:Runner")]
)
def test_the_image_of_a_cog_project_has_it_and_no_other_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str
) -> None:
    monkeypatch.setenv("SERVEKIT_CACHE_DIR", str(tmp_path / "cache"))
    root = tmp_path / "project"
    root.mkdir()
    (root / "run.py").write_text("class Runner: ...\n")
    (root / name).write_text(f'build: {{python_version: "3.13"}}\n{text}\n')

    dockerfile = prepare_build(load_spec(root), EngineFacts()).dockerfile

    assert ("RUN python -P -m servekit.compat.importing\n" in dockerfile) is (name == "cog.yaml")
