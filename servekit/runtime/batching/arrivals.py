"""When the next prediction may be expected, by how they came before."""

from typing import Final

__all__ = ["Arrivals"]


class Arrivals:
    """Learns how soon predictions come after one another, and after a batch has ended.

    Clients that wait for an answer come back when they have it: after a batch of eight, up to eight. Whoever comes
    alone is not followed by anybody, so nothing is expected after a batch of one but that one itself. All times are
    given from outside, on one clock in seconds.
    """

    __slots__ = ("_expected", "_gap", "_latest")

    def __init__(self) -> None:
        self._gap = 0.0
        self._latest = 0.0
        self._expected = 0

    @property
    def gap(self) -> float:
        """In how many seconds the next one comes after the one before, or after the end of a batch, on average."""
        return self._gap

    def arrive(self, now: float) -> None:
        """A prediction comes."""
        if self._expected > 0:
            self._expected -= 1
            gap = now - self._latest
            # Who comes after a pause of minutes tells nothing of those who come back at once.
            self._gap += (min(gap, _LATE * self._gap) - self._gap) * _NEWS if self._gap else gap
        self._latest = now

    def end_batch(self, size: int, now: float) -> None:
        """A batch has ended: those who get its results may come again."""
        self._expected = size
        self._latest = now

    def patience(self, now: float) -> float:
        """Return for how many seconds from now on the next one may still be expected; 0 if none is."""
        if self._expected <= 0 or not self._gap:
            return 0.0  # who has never come back yet may still be the first to do so
        left = self._latest + _LATE * self._gap - now
        if left <= 0:
            self._expected = 0
            return 0.0
        return left


_NEWS: Final = 0.1
"""The share of the newest gap in the average."""

_LATE: Final = 4.0
"""So many times the usual gap, and nobody comes any more."""
