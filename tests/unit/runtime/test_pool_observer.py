"""Observers of a pool that are joined to one."""

from typing import Any

import pytest

from servekit.runtime.observer import PoolObserver, join_observers
from servekit.runtime.prediction import Prediction

EVENTS = [name for name in vars(PoolObserver) if not name.startswith("_")]


def make_listener(name: str, event: str, heard: list[tuple[str, tuple[Any, ...]]]) -> PoolObserver:
    def listen(_self: PoolObserver, *arguments: Any) -> None:
        heard.append((name, arguments))

    listener: PoolObserver = type("Listener", (PoolObserver,), {event: listen})()
    return listener


@pytest.mark.parametrize("event", EVENTS)
def test_every_event_reaches_all_in_order(event: str) -> None:
    heard: list[tuple[str, tuple[Any, ...]]] = []
    joined = join_observers(make_listener("first", event, heard), make_listener("second", event, heard))

    getattr(joined, event)(1, 2)

    assert heard == [("first", (1, 2)), ("second", (1, 2))]


def test_one_that_does_nothing_with_an_event_costs_nothing() -> None:
    heard: list[tuple[str, tuple[Any, ...]]] = []
    listener = make_listener("only", "prediction_ended", heard)

    joined = join_observers(PoolObserver(), listener, PoolObserver())

    assert joined.prediction_ended == listener.prediction_ended


def test_an_event_that_nobody_wants_is_no_error() -> None:
    join_observers(PoolObserver()).prediction_ended(Prediction("a", 1, b"{}"))
