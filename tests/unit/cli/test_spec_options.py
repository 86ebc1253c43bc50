"""How commands take a spec."""

import os
from pathlib import Path

import pytest

from servekit_cli.options import load_spec_for_run


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {"SERVEKIT_TIMEOUT": "5s"})


@pytest.fixture
def project(tmp_path: Path) -> Path:
    variables = "{MODEL: small, SERVEKIT_QUEUE_MAX: 3, SERVEKIT_TIMEOUT: 7s}"
    (tmp_path / "servekit.yaml").write_text(f"predictor: a.py:P\nbuild: {{environment: {variables}}}\n")
    return tmp_path


def test_variables_of_the_spec_are_set(project: Path) -> None:
    load_spec_for_run(project)

    assert os.environ["MODEL"] == "small"


def test_a_variable_of_the_spec_may_set_a_field_of_serve_as_in_an_image(project: Path) -> None:
    assert load_spec_for_run(project).serve.queue.max == 3


def test_a_variable_that_is_set_wins_over_one_of_the_spec(project: Path) -> None:
    assert load_spec_for_run(project).serve.timeout == 5
