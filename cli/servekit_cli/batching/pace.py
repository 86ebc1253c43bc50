"""How fast a job goes, and when it will be over."""

import time
from collections import deque
from collections.abc import Callable
from typing import Final

__all__ = ["Pace", "describe_seconds"]

_RECENT_SECONDS: Final = 15.0
_MINUTE: Final = 60
_HOUR: Final = 3600


class Pace:
    """Counts rows as they end.

    Args:
        total: How many there are; None if that is not known.
        done: How many an earlier job has done.
        clock: A monotonic clock, in seconds.

    Attributes:
        ended: How many rows ended, those of the earlier job included.
        failed: How many of this job's did not succeed.
    """

    def __init__(self, total: int | None, done: int = 0, clock: Callable[[], float] = time.monotonic) -> None:
        self.total = total
        self.ended = done
        self.failed = 0
        self._clock = clock
        self._marks: deque[tuple[float, int]] = deque([(clock(), done)])

    def advance(self, *, is_success: bool) -> None:
        """One more row has ended."""
        self.ended += 1
        self.failed += not is_success

    def rows_per_second(self) -> float:
        """Return the rate of late; to be called from time to time."""
        now = self._clock()
        self._marks.append((now, self.ended))
        while len(self._marks) > 2 and now - self._marks[0][0] > _RECENT_SECONDS:  # noqa: PLR2004 - a rate takes two
            self._marks.popleft()
        before, ended = self._marks[0]
        return (self.ended - ended) / (now - before) if now > before else 0.0

    def describe(self) -> str:
        """Say how it goes, in one line."""
        rate = self.rows_per_second()
        total = "" if self.total is None else f" of {self.total:,}"
        parts = [f"{self.ended:,}{total} rows", f"{rate:,.3g} rows/s" if rate < 100 else f"{rate:,.0f} rows/s"]  # noqa: PLR2004 - three digits
        if self.failed:
            parts.append(f"{self.failed:,} failed")
        if self.total is not None and rate and self.total > self.ended:
            parts.append(f"{describe_seconds((self.total - self.ended) / rate)} left")
        return ", ".join(parts)


def describe_seconds(seconds: float) -> str:
    """Write a time for people: `0.1 ms`, `420 ms`, `3.7 s`, `4 min 10 s`, `3 h 20 min`."""
    if 0 < seconds < 1:
        return f"{seconds * 1000:.3g} ms"
    if seconds < 10:  # noqa: PLR2004 - three digits
        return f"{seconds:.3g} s"
    if seconds < _MINUTE:
        return f"{seconds:.0f} s"
    if seconds < _HOUR:
        return f"{int(seconds) // _MINUTE} min {int(seconds) % _MINUTE} s"
    return f"{int(seconds) // _HOUR} h {int(seconds) % _HOUR // _MINUTE} min"
