from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from servekit.errors import EnvironmentBuildError
from servekit.spec import BuildSpec, Spec
from servekit_cli.environment.uv import run_uv
from servekit_cli.image.dependencies import Installation, plan_installation
from servekit_cli.image.files import find_project_files
from servekit_cli.image.localpaths import list_required_paths, make_plain
from servekit_cli.image.lock import Lock

Plan = Callable[..., Installation]
PYPROJECT = '[project]\nname = "model"\nversion = "1"\nrequires-python = ">=3.11"\n'


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """Writes the files of a project and plans its installation."""

    def plan(files: dict[str, str], *, lock: str | None = None, **build: Any) -> Installation:
        for name, text in files.items():
            file = tmp_path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        spec = Spec(predictor="a.py:P", build=BuildSpec.model_validate(build), path=tmp_path / "servekit.yaml")
        files_inside = find_project_files(tmp_path).files
        locked = Lock(tmp_path / "servekit.lock", lock, is_current=True) if lock is not None else None
        return plan_installation(spec, ["runtime>=1"], files_inside, locked)

    return plan


def test_a_project_without_dependencies_installs_nothing(plan: Plan) -> None:
    assert plan({"a.py": ""}) == Installation()


def test_packages_are_resolved_together_with_the_runtime(plan: Plan) -> None:
    installation = plan({}, python_packages=["numpy>=2", "pillow"])

    assert installation.folder == "project"
    assert [line for line in installation.texts["requirements.txt"].splitlines() if not line.startswith("#")] == [
        "runtime>=1",
        "numpy>=2",
        "pillow",
    ]


def test_requirement_files_keep_their_places_with_what_they_include(plan: Plan) -> None:
    installation = plan(
        {"deps/all.txt": "-r more.txt\n-c ../pins.txt\n", "deps/more.txt": "idna\n", "pins.txt": "idna==3.7\n"},
        python_requirements="deps/all.txt",
    )

    assert installation.arguments == ("-r", "deps/all.txt")
    assert {path: text for path, text in installation.texts.items() if path.startswith("project/")} == {
        "project/deps/all.txt": "-r more.txt\n-c ../pins.txt\n",
        "project/deps/more.txt": "idna\n",
        "project/pins.txt": "idna==3.7\n",
    }


def test_code_is_no_part_of_it(plan: Plan) -> None:
    installation = plan({"a.py": "", "r.txt": "idna\n", "lib/a.py": ""}, python_requirements="r.txt")

    assert installation.sources == {}


def test_a_local_wheel_comes_along(plan: Plan) -> None:
    installation = plan(
        {
            "r.txt": "./wheels/a-1-py3-none-any.whl\nb @ file:wheels/b.tar.gz\n",
            "wheels/a-1-py3-none-any.whl": "",
            "wheels/b.tar.gz": "",
        },
        python_requirements="r.txt",
    )

    assert installation.sources == {
        "project/wheels/a-1-py3-none-any.whl": "wheels/a-1-py3-none-any.whl",
        "project/wheels/b.tar.gz": "wheels/b.tar.gz",
    }
    assert not installation.has_local_folders


def test_a_local_folder_comes_along_as_far_as_it_goes_into_the_image(plan: Plan) -> None:
    installation = plan(
        {"lib/pyproject.toml": "", "lib/src/a.py": "", "lib/.env": "", "library/b.py": ""}, python_packages=["./lib[x]"]
    )

    assert sorted(installation.sources.values()) == ["lib/pyproject.toml", "lib/src/a.py"]
    assert installation.has_local_folders


def test_an_editable_requirement_becomes_a_plain_one(plan: Plan) -> None:
    installation = plan({"lib/pyproject.toml": "", "r.txt": "-e ./lib\n"}, python_requirements="r.txt")

    assert installation.texts["project/r.txt"] == "./lib\n"


def test_a_pyproject_is_installed_from_its_folder(plan: Plan) -> None:
    installation = plan(
        {
            "model/pyproject.toml": f'{PYPROJECT}[tool.uv.sources]\nlib = {{ path = "../lib" }}\n',
            "lib/pyproject.toml": "",
            "model/a.py": "",
        },
        python_project="model",
    )

    assert (installation.folder, installation.arguments) == ("project/model", ("-r", "pyproject.toml"))
    assert installation.sources == {"project/lib/pyproject.toml": "lib/pyproject.toml"}


def test_a_pyproject_whose_backend_finds_the_dependencies_needs_all_of_its_folder(plan: Plan) -> None:
    installation = plan(
        {"pyproject.toml": '[project]\nname = "m"\ndynamic = ["version", "dependencies"]\n', "r.txt": ""},
        python_project=".",
    )

    assert "project/r.txt" in installation.sources


def test_a_uv_lock_is_exported_with_its_hashes(plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/pyproject.toml").write_text('[project]\nname = "lib"\nversion = "1"\n')
    (tmp_path / "model").mkdir()
    (tmp_path / "model/pyproject.toml").write_text(
        f'{PYPROJECT}dependencies = ["lib"]\n[tool.uv.sources]\nlib = {{ path = "../lib", editable = true }}\n'
    )
    run_uv("lock", "--offline", "--project", tmp_path / "model")

    installation = plan({}, python_project="model")

    assert installation.texts["requirements.txt"].endswith("runtime>=1\n# uv.lock\n../lib\n")
    assert installation.sources == {"project/lib/pyproject.toml": "lib/pyproject.toml"}
    assert installation.folder == "project/model"


def test_a_lock_stands_for_all_else(plan: Plan) -> None:
    installation = plan(
        {"lib/pyproject.toml": "", "r.txt": "never-read"},
        lock="idna==3.7 \\\n    --hash=sha256:00\n./lib\n",
        python_requirements="r.txt",
    )

    assert installation.texts["servekit.lock"] == "idna==3.7 \\\n    --hash=sha256:00\n./lib\n"
    assert list(installation.sources) == ["project/lib/pyproject.toml"]
    assert "requirements.txt" not in installation.texts


def test_a_lock_of_the_runtime_alone_installs_nothing_for_the_project(plan: Plan) -> None:
    installation = plan({}, lock="")

    assert installation.folder is None
    assert "runtime.lock" in installation.texts


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("./gone.whl", r"There is no \./gone\.whl in .*, which r\.txt names"),
        ("../lib", r"r\.txt names \.\./lib, and only what is in"),
        ("/opt/lib", r"r\.txt names /opt/lib, and only what is in"),
        ("a @ file:///opt/a.whl", r"r\.txt names /opt/a\.whl, and only what is in"),
        ("-r ../r.txt", r"which .*r\.txt names"),
        ("./empty", r"r\.txt names the folder empty, of which nothing goes into the image"),
    ],
)
def test_a_path_that_no_image_can_have_is_told(plan: Plan, tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "empty").mkdir()

    with pytest.raises(EnvironmentBuildError, match=message):
        plan({"r.txt": f"{line}\n"}, python_requirements="r.txt")


@pytest.mark.parametrize(
    "text",
    [
        "--extra-index-url https://me:hunter2@pypi.example.org/simple\na\n",
        "a @ git+https://me:hunter2@pypi.example.org/a.git\n",
    ],
)
def test_a_password_in_an_address_is_refused_and_not_repeated(plan: Plan, text: str) -> None:
    with pytest.raises(EnvironmentBuildError, match=r"password in it, at pypi\.example\.org(.|\n)*id=netrc") as caught:
        plan({"r.txt": text}, python_requirements="r.txt")

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["--index-url https://me:${TOKEN}@example.org/simple\na\n", "a @ git+ssh://git@example.org:22/a.git\n"]
)
def test_an_address_without_a_password_is_none_of_our_business(plan: Plan, text: str) -> None:
    assert plan({"r.txt": text}, python_requirements="r.txt").folder == "project"


def test_a_uv_lock_that_cannot_be_used_is_told_with_uvs_words(plan: Plan) -> None:
    with pytest.raises(EnvironmentBuildError, match=r"uv\.lock of .* cannot be used\. uv said:\n\n.+"):
        plan({"pyproject.toml": PYPROJECT, "uv.lock": "nonsense"}, python_project=".")


@pytest.mark.parametrize(
    ("line", "paths"),
    [
        ("numpy>=2", []),
        ("torch==2.9.1  # ./not/this", []),
        ("--extra-index-url https://example.org/simple", []),
        ("-r more.txt", []),
        ("a @ https://example.org/a.whl", []),
        ("git+https://example.org/a/b", []),
        ("https://example.org/a.whl", []),
        ("a @ git+ssh://git@example.org/b", []),
        ("${HOME}/lib", []),
        ("./lib", ["./lib"]),
        ("./lib[dev] ; python_version > '3'", ["./lib"]),
        ("libs/lib", ["libs/lib"]),
        ("a-1-py3-none-any.whl --hash=sha256:00", ["a-1-py3-none-any.whl"]),
        ("a-1.tar.gz \\", ["a-1.tar.gz"]),
        ("a[x] @ ./lib", ["./lib"]),
        ("a @ file:lib", ["lib"]),
        ("-e ./lib", ["./lib"]),
        ("--editable=./lib", ["./lib"]),
        ("--find-links=wheels", ["wheels"]),
        ("-f https://example.org/wheels", []),
    ],
)
def test_a_requirement_names_paths_or_none(line: str, paths: list[str]) -> None:
    assert list(list_required_paths(line)) == paths


def test_a_plain_requirement_stays_as_it_is() -> None:
    assert make_plain("-r a.txt\nnumpy\n") == "-r a.txt\nnumpy\n"
