"""What a worker prints, as lines of the server's log: whole ones, none too long, and not too many."""

import time
from collections.abc import Callable

__all__ = ["MAX_LINE", "OutputLog"]

MAX_LINE = 4096
"""Longer lines are cut: a log line is read by people and by programs that have limits of their own."""

_MAX_LINES_PER_SECOND = 1000
"""More is no log but a fault: a loop that prints would fill the disk and keep the server from its work."""


class OutputLog:
    """One worker's output on its way to the log.

    Args:
        write: Logs one line, of a source ("stdout" or "stderr").
        tell_cut: Logs that so many lines were left out.
        clock: Gives the seconds.
    """

    def __init__(
        self,
        write: Callable[[str, str], None],
        tell_cut: Callable[[int], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._write = write
        self._tell_cut = tell_cut
        self._clock = clock
        self._partial: dict[str, str] = {}
        self._second = 0.0
        self._left = _MAX_LINES_PER_SECOND
        self._cut = 0

    def add(self, source: str, text: str) -> None:
        """Log the lines that text brings to their end; what is left waits for its own."""
        self._begin_second()
        start = self._partial.pop(source, "")
        lines = (start + text).split("\n", self._left)
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

    def report(self) -> bool:
        """Tell how many lines were left out, if any were; return whether."""
        cut, self._cut = self._cut, 0
        if cut:
            self._tell_cut(cut)
        return bool(cut)

    def close(self) -> None:
        """Log what has had no end."""
        for source, rest in self._partial.items():
            self._log(source, rest)
        self._partial.clear()
        self.report()

    def _begin_second(self) -> None:
        now = self._clock()
        if now - self._second >= 1.0:
            self._second = now
            self._left = _MAX_LINES_PER_SECOND
            self.report()

    def _log(self, source: str, line: str) -> None:
        if self._left == 0:
            self._cut += 1
        elif line.strip():
            self._left -= 1
            self._write(source, line[:MAX_LINE].rstrip())
