"""How many predictions run at once, as a predictor's source and cog.yaml say it."""

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from servekit.spec import Spec, apply_overrides, load_spec

Load = Callable[..., Spec]

SPEC_TEXT = 'build: {python_version: "3.13"}\nrun: run.py:Runner\n'


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def load(source: str, more: str = "") -> Spec:
        (tmp_path / "run.py").write_text(textwrap.dedent(source))
        (tmp_path / "cog.yaml").write_text(SPEC_TEXT + more)
        return load_spec(tmp_path)

    return load


def in_class(decorator: str) -> str:
    return f"import cog\nclass Runner:\n  {decorator}\n  async def run(self) -> str: ...\n"


SOURCES = {
    "a method": (in_class("@cog.concurrent(max=8)"), 8),
    "an imported name": (in_class("@concurrent(max=8)"), 8),
    "among others": (in_class("@cog.streaming\n  @cog.concurrent(max=3)"), 3),
    "without a number": (in_class("@cog.concurrent"), 1),
    "with nothing in it": (in_class("@cog.concurrent()"), 1),
    "another decorator": (in_class("@other(max=8)"), 1),
    "a function": ("@concurrent(max=5)\nasync def Runner() -> str: ...\n", 5),
    "the old name": ("class Runner:\n  @concurrent(max=4)\n  async def predict(self) -> str: ...\n", 4),
    "another method": ("class Runner:\n  @concurrent(max=4)\n  def help(self): ...\n  def run(self) -> str: ...\n", 1),
    "another class": (
        "class Other:\n  @concurrent(max=4)\n  def run(self): ...\nclass Runner:\n  def run(self): ...\n",
        1,
    ),
    "a base class": ("class Base:\n  @concurrent(max=4)\n  def run(self): ...\nclass Runner(Base): ...\n", 4),
    "a class that is its own base": ("class Runner(Runner): ...\n", 1),
    "no such class": ("class Other: ...\n", 1),
    "no Python": ("class Runner(:\n", 1),
    "no text": ("# coding: nowhere\n", 1),
}


@pytest.mark.parametrize("case", SOURCES)
def test_a_source_declares(load: Load, case: str) -> None:
    source, slots = SOURCES[case]

    spec = load(source)

    assert (spec.serve.concurrency.max, spec.warnings) == (slots, ())


@pytest.mark.parametrize("number", ["N", "0", "-1", "True", "'8'", "2 * 4", "1000000"])
def test_a_number_that_cannot_be_read_is_told(load: Load, number: str) -> None:
    spec = load(in_class(f"@cog.concurrent(max={number})"))

    assert spec.serve.concurrency.max == 1
    assert spec.warnings == (
        "cog.yaml:2: the max of @concurrent at run.py:3 cannot be read: it has to be a whole number, written out.",
    )


def test_the_deprecated_field_wins_over_a_declaration(load: Load) -> None:
    spec = load(in_class("@cog.concurrent(max=8)"), "concurrency: {max: 2}")

    assert spec.serve.concurrency.max == 2
    assert spec.warnings == (
        'cog.yaml:3: deprecated field "concurrency.max": @concurrent(max=N) has no effect beside it.',
    )


def test_the_variable_wins_over_a_declaration(load: Load) -> None:
    spec = apply_overrides(load(in_class("@cog.concurrent(max=8)")), {"COG_MAX_CONCURRENCY": "2"})

    assert spec.serve.concurrency.max == 2


def test_a_source_that_is_not_there_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "cog.yaml").write_text(SPEC_TEXT)

    assert load_spec(tmp_path).serve.concurrency.max == 1
