"""What goes into the image of a Cog project."""

from pathlib import Path
from typing import Any

import pytest

from servekit.errors import ImageBuildError
from servekit.spec import load_spec
from servekit_cli.image.preparation import EngineFacts, Preparation, prepare_build

LEAST = 'build: {python_version: "3.13"}\nrun: run.py:Runner\n'


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVEKIT_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    (root / "run.py").write_text("class Runner: ...\n")
    (root / "cog.yaml").write_text(LEAST)
    return root


def prepare(path: Path, **engine: Any) -> Preparation:
    return prepare_build(load_spec(path), EngineFacts(**engine))


def list_app(preparation: Preparation) -> dict[str, Path | None]:
    return {entry.path: entry.source for entry in preparation.entries if entry.path.startswith("app/")}


def test_the_spec_is_found_in_the_image_under_its_own_name(project: Path) -> None:
    preparation = prepare(project)

    assert list_app(preparation) == {"app/run.py": project / "run.py", "app/cog.yaml": project / "cog.yaml"}
    assert preparation.notes == ()


def test_a_spec_of_another_name_gets_the_one_that_the_image_looks_for(project: Path) -> None:
    (project / "cog.yaml").rename(project / "cog-cpu.yaml")

    assert list_app(prepare(project / "cog-cpu.yaml"))["app/cog.yaml"] == project / "cog-cpu.yaml"


def test_a_cog_yaml_that_was_named_is_not_hidden_by_a_servekit_yaml(project: Path) -> None:
    (project / "servekit.yaml").write_text("predictor: other.py:Other")

    assert set(list_app(prepare(project / "cog.yaml"))) == {"app/run.py", "app/cog.yaml"}


def test_a_cog_yaml_beside_a_servekit_yaml_is_a_file_like_others(project: Path) -> None:
    (project / "servekit.yaml").write_text("predictor: other.py:Other")

    assert set(list_app(prepare(project))) == {"app/run.py", "app/cog.yaml", "app/servekit.yaml"}


def test_a_dockerignore_cannot_leave_out_the_spec(project: Path) -> None:
    (project / ".dockerignore").write_text("*.yaml\n")

    assert "app/cog.yaml" in list_app(prepare(project))


def test_cogs_own_packages_are_not_installed_and_that_is_told(project: Path) -> None:
    (project / "requirements.txt").write_text("numpy\ncog==0.16.0  # the SDK\nCoglet\ncog-like\n")
    (project / "cog.yaml").write_text(LEAST.replace("}", ", python_requirements: requirements.txt}"))

    preparation = prepare(project)

    texts = {entry.path: entry.text for entry in preparation.entries}
    assert texts[".servekit/install/excluded.txt"] == "cog\ncoglet\n"
    assert "-r requirements.txt --excludes /run/servekit/install/excluded.txt" in preparation.dockerfile
    assert preparation.notes == ("Not installed, because servekit stands in for it: cog==0.16.0, Coglet.",)


@pytest.mark.parametrize("dependencies", ["", ", python_packages: [numpy]"])
def test_what_cog_depends_on_is_installed_without_being_named(project: Path, dependencies: str) -> None:
    (project / "cog.yaml").write_text(LEAST.replace("}", f"{dependencies}}}"))

    texts = {entry.path: entry.text or "" for entry in prepare(project).entries}

    wanted = texts[".servekit/install/requirements.txt"].splitlines()
    assert {"pyyaml", "requests", "structlog", "typing-extensions"} <= set(wanted)


def test_what_is_to_be_told_of_the_file_is_told_by_the_build(project: Path) -> None:
    (project / "cog.yaml").write_text(LEAST + "observability: {traces: {enabled: true}}\n")

    assert prepare(project).notes == ("cog.yaml:3: observability has no effect: servekit sends no traces.",)


def test_secrets_of_a_command_need_an_engine_that_has_them(project: Path) -> None:
    mount = "{command: x, mounts: [{type: secret, id: a, target: /b}]}"
    (project / "cog.yaml").write_text(LEAST.replace("}", f", run: [{mount}]}}", 1))

    with pytest.raises(ImageBuildError, match=r"Secrets in build\.run need an engine with BuildKit"):
        prepare(project, has_mounts=False, has_links=False)
