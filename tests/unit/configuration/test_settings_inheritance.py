"""What a program has configured, out of its process and into that of a worker."""

import datetime as dt
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydantic
import pytest

import servekit
from servekit import configure, isolated_settings, settings
from servekit.configuration.carrying import Carried
from servekit.configuration.inheritance import Inheritance
from servekit.configuration.process import PROCESS
from servekit.errors import PredictorError


@dataclass(frozen=True)
class Model:
    name: str
    since: dt.date


class Client(pydantic.BaseModel):
    token: str
    retries: dict[int, float] = {}


def declare() -> None:
    class Tuning(servekit.Settings):
        value: int = 0
        other: int = 0
        anything: Any = None
        model: Model | None = None
        client: Client | None = None
        folder: Path = Path()
        secrets: tuple[servekit.Secret, ...] = ()

    del Tuning


def configured(**values: Any) -> Carried:
    """Return what travels from a program that configures these values one after the other."""
    told: list[Carried] = []
    with isolated_settings():
        declare()
        PROCESS.follow(told.append)
        for name, value in values.items():
            configure(**{name: value})
    return told[-1]


def inherited(*carried: Carried) -> Inheritance:
    declare()
    inheritance = Inheritance()
    inheritance.confirm()
    for each in carried:
        inheritance.take(each.payload)
    return inheritance


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("model", Model("a", dt.date(2020, 1, 2))),
        ("client", Client(token="s3cret", retries={1: 0.5})),
        ("folder", Path("a/b")),
        ("secrets", (servekit.Secret("s3cret"),)),
        ("anything", {"a": [1, None, "b"]}),
    ],
)
def test_a_value_comes_out_of_the_other_process_as_it_was(name: str, value: Any) -> None:
    carried = configured(**{name: value})

    inherited(carried)

    assert getattr(settings, name) == value
    assert type(getattr(settings, name)) is type(value)


@pytest.mark.parametrize(
    "value", [threading.Lock(), pydantic.SecretStr("s3cret"), {1, 2}, (1, 2), float("nan"), "x" * 70_000]
)
def test_a_value_that_json_cannot_hold_is_told_of_and_holds_here(value: Any) -> None:
    declare()
    told: list[Carried] = []
    PROCESS.follow(told.append)

    with pytest.warns(RuntimeWarning, match=r"the setting anything .* its worker processes keep"):
        configure(anything=value, other=1)

    assert settings.anything is value
    assert list(told[-1].refused) == ["anything"]
    inherited_elsewhere(told[-1])


def inherited_elsewhere(carried: Carried) -> None:
    with isolated_settings():
        inherited(carried)
        assert (settings.anything, settings.other) == (None, 1)


def test_an_older_version_that_arrives_late_is_ignored() -> None:
    older, newer = configured(value=1), configured(other=1, value=2)

    inherited(newer, older)

    assert settings.value == 2


def test_of_what_both_processes_configure_the_last_one_wins_name_by_name() -> None:
    first, second = configured(value=1, other=1), configured(value=1, other=1, model=None)
    inheritance = inherited(first)
    configure(value=5)

    inheritance.take(second.payload)

    assert (settings.value, settings.other) == (5, 1)


def test_what_was_configured_since_the_pool_was_opened_is_newer_than_what_setup_configures() -> None:
    inheritance = inherited(configured(value=1, other=1))
    configure(value=5, other=5)

    inheritance.renew(since=1)

    assert (settings.value, settings.other) == (5, 1)


def test_a_module_sees_inherited_values_from_the_declaration_on_and_they_win_over_its_own() -> None:
    inheritance = Inheritance()
    inheritance.take(configured(value=1, other=1).payload)

    declare()
    seen = settings.value
    configure(value=7)
    inheritance.confirm()

    assert (seen, settings.value) == (1, 1)


def test_where_nothing_is_declared_inherited_values_are_left_alone() -> None:
    inheritance = Inheritance()
    inheritance.take(configured(value=1).payload)

    inheritance.confirm()

    assert inheritance.fault is None


def test_a_fault_is_told_until_a_value_that_fits_comes() -> None:
    class Tuning(servekit.Settings):
        value: int = servekit.Setting(0, le=3)

    del Tuning
    inheritance = Inheritance()
    inheritance.take(configured(value=4).payload)

    with pytest.raises(PredictorError, match="cannot be used here: the setting value is 4; expected at most 3"):
        inheritance.confirm()
    inheritance.take(configured(value=4, other=0, anything=0).payload)
    assert "no setting other" in str(inheritance.fault)


def test_who_unfollows_is_told_no_more() -> None:
    declare()
    told: list[Carried] = []
    PROCESS.follow(told.append)

    PROCESS.unfollow(told.append)
    configure(value=1)

    assert told == []
