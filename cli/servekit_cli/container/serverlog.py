"""What a container prints, seen as its server wrote it: lines of JSON, some of which carry what the model printed."""

import codecs
import json
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Final, cast

__all__ = ["ServerLog"]

_MAX_LINE: Final = 65_536
"""The server's own lines are shorter; what is longer and has no end is passed on in pieces."""

_KEPT_LINES: Final = 20
"""How much of the end of a log an error shows: about what a person reads."""


class ServerLog:
    """Takes a container's output apart.

    What the predictor prints, and what is no line of the server's log at all (such as the last words of
    an interpreter), is handed on as text. What the server says of itself is kept for the case that the
    container dies.

    Args:
        show: Takes the text of the predictor.

    Attributes:
        deaths: Why workers died, as the server said it.
    """

    def __init__(self, show: Callable[[str], None]) -> None:
        self.deaths: list[str] = []
        self._show = show
        self._tail: deque[str] = deque(maxlen=_KEPT_LINES)
        self._sources: dict[str, _Lines] = {}

    def feed(self, source: str, data: bytes) -> None:
        """Take a piece of output; pieces of the two sources do not mix within a line."""
        for line in self._sources.setdefault(source, _Lines()).feed(data):
            self._take(line)

    def close(self) -> None:
        """Take what has no end of line."""
        for lines in self._sources.values():
            for line in lines.rest():
                self._take(line)

    @property
    def tail(self) -> str:
        """The last lines, readable, without an end of line."""
        return "\n".join(self._tail)

    def _take(self, line: str) -> None:
        entry = _parse(line)
        if entry is None:
            text = line
        elif "source" in entry:
            text = str(entry["event"])
        else:
            self._note(entry)
            return
        self._tail.append(text)
        self._show(f"{text}\n")

    def _note(self, entry: dict[str, Any]) -> None:
        event, reason = str(entry["event"]), entry.get("reason")
        if event == "worker died" and reason:
            self.deaths.append(str(reason))
        if entry.get("level") in ("warning", "error"):
            self._tail.append(f"{event}: {reason}" if reason else event)
            self._tail.extend(str(entry.get("traceback", "")).splitlines())


class _Lines:
    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._open = ""

    def feed(self, data: bytes) -> Iterator[str]:
        *lines, self._open = (self._open + self._decoder.decode(data)).split("\n")
        yield from lines
        if len(self._open) > _MAX_LINE:
            yield from self.rest()

    def rest(self) -> Iterator[str]:
        rest, self._open = self._open, ""
        if rest:
            yield rest


def _parse(line: str) -> dict[str, Any] | None:
    """Read a line of the server's log; None for anything else."""
    if not line.startswith('{"timestamp"'):
        return None
    try:
        entry: Any = json.loads(line)
    except ValueError:
        return None
    return cast("dict[str, Any]", entry) if isinstance(entry, dict) and "event" in entry else None
