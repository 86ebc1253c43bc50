"""What came back, without what no two servers can have in common: times, durations and made-up ids."""

import json
from collections.abc import Iterable
from typing import Any, Final

import httpx

__all__ = ["read_answer", "read_events", "read_prediction", "read_problems"]

_KEYS: Final = ("status", "output", "error", "logs", "metrics")
"""What a client of Cog finds in a prediction. servekit's has more, for which there is a case of its own."""

_DURATIONS: Final = frozenset({"predict_time", "queue_time", "time_to_first_output"})

Event = tuple[str, Any]


def read_answer(response: httpx.Response) -> tuple[int, dict[str, Any]]:
    """Return the status of an answer, and its prediction."""
    return response.status_code, read_prediction(response.json())


def read_prediction(body: dict[str, Any]) -> dict[str, Any]:
    """Return what Cog's clients know of a prediction; without its id, which most cases leave to the server."""
    known = {key: body[key] for key in _KEYS if body.get(key) is not None}
    if "metrics" in known:
        known["metrics"] = {name: value for name, value in known["metrics"].items() if name not in _DURATIONS}
    return known


def read_problems(response: httpx.Response) -> tuple[int, list[tuple[str, str]]]:
    """Return the status, and the place and kind of each problem with the input, sorted."""
    problems = response.json()["detail"]
    return response.status_code, sorted(("/".join(map(str, each["loc"])), each["type"]) for each in problems)


def read_events(lines: Iterable[str]) -> list[Event]:
    """Return the events of a stream."""
    events: list[Event] = []
    name = ""
    for line in lines:
        key, _, value = line.partition(": ")
        if key == "event":
            name = value
        elif key == "data":
            body = json.loads(value)
            events.append((name, read_prediction(body) if name in ("start", "completed") else body))
    return events
