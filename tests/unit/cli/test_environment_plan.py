from pathlib import Path

import pytest

from servekit.errors import EnvironmentBuildError
from servekit.spec import BuildSpec, Spec
from servekit_cli.environment.cache import cache_directory, keep
from servekit_cli.environment.interpreter import find_interpreter, running_version
from servekit_cli.environment.prepare import needs_environment
from servekit_cli.environment.requirements import (
    read_dependencies,
    read_server_requirements,
    read_worker_requirements,
)


@pytest.fixture
def make_spec(tmp_path: Path) -> "SpecMaker":
    return SpecMaker(tmp_path)


class SpecMaker:
    def __init__(self, root: Path) -> None:
        self.root = root

    def __call__(self, **build: object) -> Spec:
        return Spec(
            predictor="predict.py:Predictor",
            build=BuildSpec.model_validate(build),
            path=self.root / "servekit.yaml",
        )


def test_a_spec_without_dependencies_runs_in_the_current_interpreter(make_spec: SpecMaker) -> None:
    assert not needs_environment(make_spec())


def test_naming_the_running_python_needs_no_environment(make_spec: SpecMaker) -> None:
    assert not needs_environment(make_spec(python_version=running_version()))


def test_another_python_needs_an_environment(make_spec: SpecMaker) -> None:
    other = "3.12" if running_version() != "3.12" else "3.13"

    assert needs_environment(make_spec(python_version=other))


@pytest.mark.parametrize(
    "build", [{"python_packages": ["a"]}, {"python_requirements": "r.txt"}, {"python_project": "."}]
)
def test_naming_dependencies_needs_an_environment(make_spec: SpecMaker, build: dict[str, object]) -> None:
    assert needs_environment(make_spec(**build))


def test_included_requirement_files_decide_as_well(make_spec: SpecMaker) -> None:
    (make_spec.root / "r.txt").write_text("-r more.txt\n--constraint=pins.txt\na\n")
    (make_spec.root / "more.txt").write_text("b\n-r r.txt\n")
    (make_spec.root / "pins.txt").write_text("c==1\n")

    contents = read_dependencies(make_spec(python_requirements="r.txt")).contents

    assert contents == ("-r more.txt\n--constraint=pins.txt\na\n", "b\n-r r.txt\n", "c==1\n")


def test_a_lock_file_decides_where_there_is_one(make_spec: SpecMaker) -> None:
    (make_spec.root / "pyproject.toml").write_text("[project]")
    (make_spec.root / "uv.lock").write_text("version = 1")

    dependencies = read_dependencies(make_spec(python_project="."))

    assert (dependencies.locked_project, dependencies.contents) == (make_spec.root, ("[project]", "version = 1"))


def test_a_project_without_lock_is_installed_from_its_pyproject(make_spec: SpecMaker) -> None:
    (make_spec.root / "pyproject.toml").write_text("[project]")

    assert read_dependencies(make_spec(python_project=".")).files == (make_spec.root / "pyproject.toml",)


@pytest.mark.parametrize(
    ("build", "file"),
    [({"python_requirements": "r.txt"}, "r.txt"), ({"python_project": "sub"}, "sub/pyproject.toml")],
)
def test_a_missing_file_is_named_with_its_field(make_spec: SpecMaker, build: dict[str, object], file: str) -> None:
    with pytest.raises(
        EnvironmentBuildError, match=rf"no file {make_spec.root}/{file}, which build\.{next(iter(build))}"
    ):
        read_dependencies(make_spec(**build))


def test_a_missing_included_file_is_named_with_the_file_that_includes_it(make_spec: SpecMaker) -> None:
    (make_spec.root / "r.txt").write_text("-r more.txt\n")

    with pytest.raises(EnvironmentBuildError, match=r"more\.txt, which .*r\.txt names"):
        read_dependencies(make_spec(python_requirements="r.txt"))


@pytest.mark.parametrize(
    ("text", "depends"),
    [
        ("numpy>=2", False),
        ("--pre", False),
        ("-e ./lib", True),
        ("./lib", True),
        ("lib @ file:../lib", True),
        ('source = { editable = "." }', False),
        ('source = { virtual = "." }', False),
        ('source = { directory = "../lib" }', True),
        ('lib = { path = "../lib" }', True),
    ],
)
def test_relative_paths_tie_an_environment_to_its_folder(make_spec: SpecMaker, text: str, *, depends: bool) -> None:
    (make_spec.root / "r.txt").write_text(f"a\n{text}\n")

    assert read_dependencies(make_spec(python_requirements="r.txt")).depend_on_place is depends


def test_a_worker_needs_what_the_extra_of_that_name_lists() -> None:
    requirements = read_worker_requirements()

    assert {requirement.partition(">")[0] for requirement in requirements} == {
        "msgspec",
        "pydantic",
        "tenacity",
        "urllib3",
        "uvloop",
    }
    assert "extra" not in " ".join(requirements)


def test_an_image_needs_what_a_worker_needs_and_the_server_beside_it() -> None:
    requirements = read_server_requirements()

    assert set(read_worker_requirements()) < set(requirements)
    assert any(requirement.startswith("fastapi>=") for requirement in requirements)
    assert not any(requirement.startswith(("servekit", "typer", "docker")) for requirement in requirements)


def test_markers_of_the_extra_are_kept() -> None:
    assert any("sys_platform != 'win32'" in requirement for requirement in read_worker_requirements())


def test_a_python_that_is_not_there_is_told_with_the_way_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    monkeypatch.setenv("UV_PYTHON_INSTALL_DIR", str(tmp_path))
    absent = "3.14" if running_version() != "3.14" else "3.13"

    with pytest.raises(EnvironmentBuildError, match=rf"There is no Python {absent}(.|\n)*pyenv install {absent}"):
        find_interpreter(absent)


def test_a_python_of_pyenv_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    absent = "3.14" if running_version() != "3.14" else "3.13"
    python = tmp_path / "versions" / f"{absent}.1" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\n")
    python.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    monkeypatch.setenv("UV_PYTHON_INSTALL_DIR", str(tmp_path))

    assert find_interpreter(absent) == python


def test_the_cache_stands_where_the_variable_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVEKIT_CACHE_DIR", str(tmp_path))

    assert cache_directory() == tmp_path


def test_the_cache_stands_in_the_users_cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SERVEKIT_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    assert cache_directory() == tmp_path / "servekit"


def make_folder(target: Path) -> None:
    target.mkdir()
    (target / "done").touch()


def is_complete(folder: Path) -> bool:
    return (folder / "done").exists()


def test_what_is_kept_is_made_once(tmp_path: Path) -> None:
    made: list[Path] = []

    def make(target: Path) -> None:
        made.append(target)
        make_folder(target)

    keep(tmp_path / "key", make, is_complete)
    keep(tmp_path / "key", make, is_complete)

    assert len(made) == 1
    assert is_complete(tmp_path / "key")


@pytest.mark.parametrize(
    ("error", "told"), [(KeyboardInterrupt(), KeyboardInterrupt), (OSError("disk full"), EnvironmentBuildError)]
)
def test_what_fails_half_way_leaves_nothing(tmp_path: Path, error: BaseException, told: type[BaseException]) -> None:
    def fail(target: Path) -> None:
        target.mkdir()
        raise error

    with pytest.raises(told):
        keep(tmp_path / "key", fail, is_complete)

    assert [path.name for path in tmp_path.iterdir()] == ["key.lock"]


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / "key.part-old" / "environment").mkdir(parents=True)

    keep(tmp_path / "key", make_folder, is_complete)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["key", "key.lock"]


def test_what_is_broken_is_made_again(tmp_path: Path) -> None:
    (tmp_path / "key").mkdir()

    keep(tmp_path / "key", make_folder, is_complete)

    assert is_complete(tmp_path / "key")
