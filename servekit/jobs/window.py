"""Rows that were taken in and whose results have not been taken yet: a bounded number, in order or as they end."""

from collections import deque
from typing import Final

from servekit.jobs.rows import Row, RowResult

__all__ = ["Job", "Window"]


class Job:
    """A row on its way.

    Attributes:
        row: The row.
        attempts: How often it was started.
        began: When it was started first.
        began_attempt: When it was started last.
        charged: The tokens that its last attempt was charged in advance.
        result: What became of it, when it is over.
    """

    __slots__ = ("attempts", "began", "began_attempt", "charged", "result", "row")

    def __init__(self, row: Row) -> None:
        self.row = row
        self.attempts = 0
        self.began = 0.0
        self.began_attempt = 0.0
        self.charged = 0.0
        self.result: RowResult | None = None


class Window:
    """Keeps results until they are taken.

    A row that takes long holds up the results of those after it where order is kept. So the window is what bounds
    how far the others get ahead of it, by number and by size.

    Args:
        ordered: Results are given in the order of the rows, else as they are there.
    """

    def __init__(self, *, ordered: bool) -> None:
        self._is_ordered = ordered
        self._jobs: deque[Job] = deque()
        self._count = 0
        self._bytes = 0

    def __len__(self) -> int:
        """Return how many rows are in it."""
        return self._count

    def has_room(self, running: int) -> bool:
        """Whether one more row may come in, with so many rows running at a time."""
        return self._count < _ROWS + _ROWS_PER_RUNNING * running and (self._bytes < _BYTES or self._count < running)

    def enter(self, job: Job) -> None:
        """Take a row in."""
        self._count += 1
        self._bytes += len(job.row.raw_input)
        if self._is_ordered:
            self._jobs.append(job)

    def end(self, job: Job, result: RowResult) -> None:
        """A row is over."""
        job.result = result
        self._bytes += len(result.raw_output)
        if not self._is_ordered:
            self._jobs.append(job)

    @property
    def has_result(self) -> bool:
        """Whether there is one to take."""
        return bool(self._jobs) and self._jobs[0].result is not None

    def take(self) -> RowResult:
        """Remove and return the next result; there must be one."""
        result = self._jobs.popleft().result
        assert result is not None
        self._count -= 1
        self._bytes -= len(result.row.raw_input) + len(result.raw_output)
        return result


_ROWS: Final = 256
_ROWS_PER_RUNNING: Final = 4
"""Rows at most, and the further ones for each that may run at a time. By feel: enough that one slow row among fast ones
does not leave slots empty."""

_BYTES: Final = 64_000_000
"""From how many bytes of inputs and outputs on only as many rows come in as can run."""
