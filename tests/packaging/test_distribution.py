"""What is installed is complete, and what is imported is light."""

import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("servekit", "servekit_cli", "servekit_templates")
HOMES = {"servekit": ROOT, "servekit_cli": ROOT / "cli", "servekit_templates": ROOT / "templates"}


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the sdist, and from it the wheel, as a release does."""
    target = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "uv", "build", "--quiet", "--out-dir", str(target), str(ROOT)], check=True)
    return target


@pytest.fixture(scope="module")
def wheel_names(distributions: Path) -> set[str]:
    (path,) = distributions.glob("*.whl")
    with zipfile.ZipFile(path) as wheel:
        return set(wheel.namelist())


@pytest.fixture(scope="module")
def sdist_names(distributions: Path) -> set[str]:
    (path,) = distributions.glob("*.tar.gz")
    with tarfile.open(path) as sdist:
        return {name.partition("/")[2] for name in sdist.getnames()}


def list_sources() -> set[str]:
    """List every file of the packages as it should be installed."""
    return {
        str(path.relative_to(home))
        for package, home in HOMES.items()
        for path in (home / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_wheel_holds_every_file_of_the_packages_and_nothing_else(wheel_names: set[str]) -> None:
    installed = {name for name in wheel_names if ".dist-info/" not in name}

    assert installed == list_sources()


def test_wheel_holds_the_licence(wheel_names: set[str]) -> None:
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in wheel_names)


@pytest.mark.parametrize("package", PACKAGES)
def test_each_package_is_marked_as_typed(wheel_names: set[str], package: str) -> None:
    assert f"{package}/py.typed" in wheel_names


def test_sdist_holds_sources_tests_examples_and_docs(sdist_names: set[str]) -> None:
    expected = {
        "pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE", "Makefile",
        "servekit/__init__.py", "cli/servekit_cli/__init__.py", "templates/servekit_templates/__init__.py",
        "tests/packaging/test_distribution.py", "examples/hello/servekit.yaml", "docs/conf.py",
    }  # fmt: skip

    assert expected - sdist_names == set()
    assert not any(name.startswith(("docs/_build", ".venv", "benchmarks/results")) for name in sdist_names)


@pytest.fixture(scope="module")
def project() -> dict[str, list[str] | dict[str, list[str]]]:
    loaded = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {"dependencies": loaded["dependencies"], **loaded["optional-dependencies"]}


@pytest.mark.parametrize("extra", ["worker", "server"])
def test_each_extra_repeats_a_part_of_the_dependencies(project: dict[str, list[str]], extra: str) -> None:
    requirements = {line for line in project[extra] if not line.startswith("servekit[")}

    assert requirements
    assert requirements - set(project["dependencies"]) == set()


def test_server_extra_holds_the_worker_extra(project: dict[str, list[str]]) -> None:
    assert "servekit[worker]" in project["server"]


def list_modules(code: str) -> set[str]:
    """Run code in a fresh interpreter and return the top-level modules it has loaded."""
    listing = "import sys; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", f"{code}\n{listing}"], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


HEAVY = {
    "docker", "fastapi", "jinja2", "jsonschema_rs", "prometheus_client", "psutil", "rich", "servekit_cli", "starlette",
    "typer", "uvicorn",
}  # fmt: skip


def test_importing_servekit_loads_nothing_but_the_standard_library() -> None:
    added = list_modules("import servekit") - list_modules("")

    assert added - sys.stdlib_module_names == {"servekit"}


def test_what_an_author_imports_loads_neither_the_server_nor_pydantic() -> None:
    loaded = list_modules("from servekit import *")

    assert loaded & (HEAVY | {"pydantic", "msgspec", "yaml"}) == set()


def test_a_worker_loads_nothing_of_the_server() -> None:
    loaded = list_modules("import servekit.runtime.child, servekit.runtime.worker, servekit.signature")

    assert loaded & HEAVY == set()


def test_a_server_starts_without_what_only_metrics_need() -> None:
    loaded = list_modules("import servekit.server.run, servekit.server.assembly, servekit.server.rest")

    assert loaded & {"prometheus_client", "psutil"} == set()
