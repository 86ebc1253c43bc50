"""What a worker prints, as lines of the server's log: whole ones, none too long, and not too many."""

import asyncio
from collections.abc import Callable

__all__ = ["MAX_LINE", "OutputLog"]

MAX_LINE = 4096
"""Longer lines are cut: a log line is read by people and by programs that have limits of their own."""

_MAX_LINES = 1000
_PERIOD_SECONDS = 1.0
"""More than so many lines in this time is no log but a fault: a loop that prints would fill the disk."""


class OutputLog:
    """One worker's output on its way to the log. It lives on one event loop.

    Args:
        write: Logs one line, of a source ("stdout" or "stderr").
        tell_cut: Logs that so many lines were left out.
    """

    def __init__(self, write: Callable[[str, str], None], tell_cut: Callable[[int], None]) -> None:
        self._write = write
        self._tell_cut = tell_cut
        self._partial: dict[str, str] = {}
        self._left = _MAX_LINES
        self._cut = 0
        self._period: asyncio.TimerHandle | None = None

    def add(self, source: str, text: str) -> None:
        """Log the lines that text brings to their end; what is left waits for its own."""
        if self._period is None:
            self._period = asyncio.get_running_loop().call_later(_PERIOD_SECONDS, self._end_period)
        lines = (self._partial.pop(source, "") + text).split("\n", self._left)
        rest = lines.pop()
        for line in lines:
            self._log(source, line)
        if self._left == 0:
            self._cut += rest.count("\n")
            rest = rest[rest.rfind("\n") + 1 :]
        if len(rest) > MAX_LINE:
            self._log(source, rest)
        elif rest:
            self._partial[source] = rest

    def close(self) -> None:
        """Log what has had no end, and how much was left out."""
        if self._period is not None:
            self._period.cancel()
        for source, rest in self._partial.items():
            self._log(source, rest)
        self._partial.clear()
        self._end_period()

    def _end_period(self) -> None:
        self._period = None
        self._left = _MAX_LINES
        cut, self._cut = self._cut, 0
        if cut:
            self._tell_cut(cut)

    def _log(self, source: str, line: str) -> None:
        if self._left == 0:
            self._cut += 1
            return
        self._left -= 1
        if line.strip():
            self._write(source, line[:MAX_LINE].rstrip())
