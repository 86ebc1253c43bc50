"""How many things happened when, in bounded memory."""

from typing import Final

__all__ = ["Series"]


class Series:
    """Counts in equal intervals of time, from the first second on; when there are too many they are joined in pairs.

    Attributes:
        interval_seconds: How long each interval is now.
        counts: How many things fell into each.
    """

    def __init__(self) -> None:
        self.interval_seconds = 1.0
        self.counts: list[int] = []

    def add(self, seconds: float) -> None:
        """Count one thing, so many seconds after the beginning."""
        while (place := int(seconds / self.interval_seconds)) >= _MOST:
            self._join()
        if place >= len(self.counts):
            self.counts += [0] * (place + 1 - len(self.counts))
        self.counts[place] += 1

    def widen(self, interval_seconds: float) -> None:
        """Join intervals until each is so long; it must be this interval's multiple by a power of 2."""
        while self.interval_seconds < interval_seconds:
            self._join()

    def _join(self) -> None:
        self.interval_seconds *= 2
        if len(self.counts) % 2:
            self.counts.append(0)
        self.counts = [first + second for first, second in zip(self.counts[::2], self.counts[1::2], strict=True)]


_MOST: Final = 240
"""Intervals that are kept: enough for a plot, by feel. After the first time there are always more than half as many."""
