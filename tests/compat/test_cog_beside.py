"""Cog's own server and servekit's are asked the same, over the same project files.

Each case says what each of them answers, so that the table in docs/reference/cog-compatibility.md cannot lie.
"""

import os
from collections.abc import Generator
from pathlib import Path
from typing import Final

import pytest
from beside.bench import Bench
from beside.case import Case
from beside.cases import AREAS
from beside.environment import CogUnavailableError, make_cog_environment
from beside.files import run_files
from receiver import run_receiver

_CASES: Final = {f"{area.title}-{case.name}": case for area in AREAS for case in area.cases}
_ORDER: Final = sorted(_CASES.items(), key=lambda item: item[1].project.name)  # a project's servers are started once


@pytest.fixture(scope="module")
def cog_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with Cog's packages; where these cannot be had, tests are skipped, but not in CI."""
    try:
        return make_cog_environment(tmp_path_factory.mktemp("cog") / "environment")
    except CogUnavailableError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"there is no Cog to compare with: {error}")


@pytest.fixture(scope="module")
def bench(cog_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[Bench]:
    with run_receiver() as receiver, run_files() as files:
        bench = Bench(cog_python, tmp_path_factory.mktemp("beside"), receiver, files)
        try:
            yield bench
        finally:
            bench.close()


@pytest.mark.parametrize("case", [case for _, case in _ORDER], ids=[name for name, _ in _ORDER])
def test_both_servers_answer_as_it_is_declared(bench: Bench, case: Case) -> None:
    assert bench.ask(case) == {"cog": case.cog, "here": case.here}


def test_each_area_has_cases_and_no_two_have_one_name() -> None:
    assert all(area.cases for area in AREAS)
    assert len(_CASES) == sum(len(area.cases) for area in AREAS)
