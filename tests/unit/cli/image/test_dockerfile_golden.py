"""Dockerfiles as they are read by people: each case is a file in golden/."""

from pathlib import Path

import pytest
from dockerfiles import CASES, COG_CASES, FOLDER, make_facts, render_case

from servekit_cli.image.plan import plan_base
from servekit_cli.image.render import render_dockerfile

REWRITE = "run: python tests/support/dockerfiles.py, and read the difference"


@pytest.mark.parametrize("name", [*CASES, *COG_CASES])
def test_a_spec_gives_the_dockerfile_that_is_kept(name: str) -> None:
    assert render_case(name) == (FOLDER / f"{name}.Dockerfile").read_text(encoding="utf-8"), REWRITE


def test_the_base_image_has_the_dockerfile_that_is_kept() -> None:
    rendered = render_dockerfile(plan_base(make_facts()))

    assert rendered == (FOLDER / "base.Dockerfile").read_text(encoding="utf-8"), REWRITE


def test_no_file_is_kept_of_a_case_that_is_gone() -> None:
    assert {file.stem for file in FOLDER.iterdir()} == {*CASES, *COG_CASES, "base"}


@pytest.mark.parametrize("file", sorted(FOLDER.iterdir()), ids=lambda file: file.stem)
def test_a_dockerfile_pulls_no_frontend_and_needs_no_heredocs(file: Path) -> None:
    text = file.read_text(encoding="utf-8")

    assert "syntax=" not in text
    assert "\nRUN <<" not in text
