"""Values for the author's settings: from the file, the variable and the flag."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from servekit.errors import SpecError, UsageError
from servekit.spec import SET_FLAG, Spec, apply_overrides, load_spec

Load = Callable[[str], Spec]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Load a spec with these lines behind its first."""

    def load(lines: str) -> Spec:
        (tmp_path / "servekit.yaml").write_text(f"predictor: predict.py:Predictor\n{lines}\n", encoding="utf-8")
        return load_spec(tmp_path)

    return load


def test_values_are_those_that_json_would_have(load: Load) -> None:
    spec = load("settings:\n  temperature: 0.2\n  words: [a, 1]\n  style: {size: null}")

    assert spec.settings == {"temperature": 0.2, "words": ["a", 1], "style": {"size": None}}


def test_a_section_without_lines_is_empty(load: Load) -> None:
    assert load("settings:").settings == {}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("settings: [a]", r'^servekit.yaml:2: settings is \["a"\]; it must be a section of `name: value` lines\.'),
        ("settings:\n  since: 2024-01-01", r"since is a date, which JSON cannot say.\n  Put it into quotes\."),
        ("settings:\n  most: .inf", r"most is a float, which JSON cannot say"),
    ],
)
def test_what_json_cannot_say_is_refused(load: Load, lines: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        load(lines)


def test_the_flag_wins_over_the_variable_and_the_variable_over_the_file(load: Load) -> None:
    spec = load("settings: {a: 1, b: 1, c: 1}")

    settings = apply_overrides(spec, {"SERVEKIT_SETTINGS": '{"b": 2, "c": 2}'}, {SET_FLAG: ["c=3"]}).settings

    assert settings == {"a": 1, "b": 2, "c": 3}


@pytest.mark.parametrize(
    ("pair", "value"),
    [("a=0.2", 0.2), ("a=hot", "hot"), ('a="3"', "3"), ("a=", ""), ("a=x=y", "x=y"), ("a=NaN", "NaN")],
)
def test_a_flag_holds_json_or_else_text(load: Load, pair: str, value: Any) -> None:
    assert apply_overrides(load(""), {}, {SET_FLAG: [pair]}).settings == {"a": value}


@pytest.mark.parametrize(
    ("variable", "pairs", "message"),
    [
        ("{", [], r"SERVEKIT_SETTINGS is not JSON: .*\nWrite it as"),
        ("[1]", [], r"SERVEKIT_SETTINGS holds no JSON object"),
        ("", ["temperature"], r'--set wants name=value, and got "temperature"'),
        ("", ["=1"], r"--set wants name=value"),
    ],
)
def test_what_cannot_be_read_is_refused(load: Load, variable: str, pairs: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        apply_overrides(load(""), {"SERVEKIT_SETTINGS": variable}, {SET_FLAG: pairs})
