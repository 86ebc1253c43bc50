import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from dockerfiles import CASES, make_facts, make_spec, render_case

from servekit.errors import ImageBuildError
from servekit_cli.image.base import BaseLabels, list_base_labels, read_base_labels, render_base
from servekit_cli.image.plan import plan_dockerfile
from servekit_cli.image.python import digest_requirements
from servekit_cli.image.render import render_dockerfile

ROOT = Path(__file__).parents[4]


def render(build: Mapping[str, Any], **facts: Any) -> str:
    return render_dockerfile(plan_dockerfile(make_spec({"build": build}), make_facts(**facts)))


def test_what_changes_often_comes_behind_what_changes_seldom() -> None:
    text = render(
        {"system_packages": ["ffmpeg"], "run": ["echo mine"], "environment": {"A": "1"}},
        install_folder="project",
        weights_image="w:1",
    )

    marks = [
        '"fastapi',
        "ffmpeg",
        "servekit==",
        "requirements.txt",
        "ENV A=",
        "echo mine",
        "=weights / ",
        "COPY --link app",
    ]
    places = [text.find(mark) for mark in marks]
    assert places == sorted(places)
    assert -1 not in places


@pytest.mark.parametrize("field", [{"build_packages": ["gcc"]}, {"cuda": "12.6", "gpu": True}])
def test_what_needs_buildkit_is_refused_without_it(field: Mapping[str, Any]) -> None:
    with pytest.raises(ImageBuildError, match=rf"build\.{next(iter(field))} needs an engine with BuildKit"):
        render(field, has_mounts=False)


@pytest.mark.parametrize("name", [name for name in CASES if not name.startswith("classic")])
def test_a_secret_is_there_for_single_steps_only(name: str) -> None:
    text = render_case(name)

    assert not re.search(r"^(COPY|ENV|ADD).*secrets", text, re.MULTILINE)


def test_a_secret_that_servekit_does_not_know_is_for_the_projects_own_commands() -> None:
    text = render({"run": ["one", "two"], "python_packages": ["a"]}, secrets=("token",), install_folder="project")

    assert text.count("--mount=type=secret,id=token") == 2


def test_a_command_finds_a_secret_where_it_wants_it_and_no_other_does() -> None:
    text = render({"run": ["one", {"command": "two", "secrets": {"pip": "/etc/pip.conf"}}]})

    assert "RUN one\nRUN --mount=type=secret,id=pip,target=/etc/pip.conf \\\n    two\n" in text


def test_commands_find_pip_in_an_image_of_nvidias_as_well() -> None:
    cuda = {"gpu": True, "cuda": "12.6"}

    assert " --seed" in render({**cuda, "run": ["pip install a"]})
    assert " --seed" not in render(cuda)


def test_the_classic_builder_gets_no_mounts() -> None:
    assert "--mount" not in render_case("classic_builder")


def test_no_compilers_are_looked_for_when_there_is_nothing_to_compile() -> None:
    assert "gcc" not in render({"build_packages": ["gcc"]})


@pytest.mark.parametrize(
    ("cuda", "image"),
    [
        ("12.6", "12.6.0-runtime"),
        ("12.6.3", "12.6.3-runtime"),
        ("12.4-devel", "12.4.0-devel"),
        ("12.4.1-cudnn-devel", "12.4.1-cudnn-devel"),
        ("11.8-cudnn8-devel", "11.8.0-cudnn8-devel"),
    ],
)
def test_cuda_names_the_image_of_nvidia(cuda: str, image: str) -> None:
    assert f"\nFROM nvidia/cuda:{image}-ubuntu22.04\n" in render({"gpu": True, "cuda": cuda})


@pytest.mark.parametrize("step", ["/etc/passwd", "/usr/bin/tini /usr", '"fastapi>=0.120"', "PYTHONUNBUFFERED"])
def test_what_a_base_image_has_done_is_not_done_again(step: str) -> None:
    assert step in render({})
    assert step not in render({}, base_image="servekit-base:1")


def test_the_requirements_of_a_base_have_one_digest_in_any_order() -> None:
    assert digest_requirements(["a", "b"]) == digest_requirements(["b", "a"]) != digest_requirements(["a"])


def test_the_dockerfile_of_the_base_image_at_the_root_is_current() -> None:
    assert (ROOT / "Dockerfile.base").read_text(encoding="utf-8") == render_base(), (
        "run: python -m servekit_cli.image.base > Dockerfile.base"
    )


def test_a_base_image_can_be_asked_what_it_holds() -> None:
    assert read_base_labels(
        {
            "dev.servekit.base.version": "1.2.3",
            "dev.servekit.base.python": "3.12",
            "dev.servekit.base.requirements": "abc",
        }
    ) == BaseLabels("1.2.3", "3.12", "abc")


def test_another_image_is_no_base_image() -> None:
    assert read_base_labels({"dev.servekit.version": "1.2.3"}) is None


def test_the_dockerfile_of_a_base_says_what_is_looked_for() -> None:
    labels = list_base_labels("3.13")

    assert f"LABEL dev.servekit.base.requirements={labels.requirements}\n" in render_base()
