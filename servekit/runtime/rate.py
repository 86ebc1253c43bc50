"""How fast slots do their work, as it was measured, and what follows from it for those who are turned away."""

import math

__all__ = ["LONGEST_SECONDS", "SlotRate"]

LONGEST_SECONDS = 600
"""The longest time that anybody is sent away for: by then everything may be different."""

_MEMORY_SLOT_SECONDS = 60.0
"""After so much work older work counts half; long enough to be steady, short enough to follow a change (by feel)."""


class SlotRate:
    """How many predictions one busy slot gets done per second.

    It is the number of those that ended, divided by the time for which slots were held: by those that
    ended and by those that still run, so that it falls as soon as predictions begin to take longer, and
    not when the first of those has ended. Idle time does not count. All times are given from outside, on
    one clock in seconds.
    """

    def __init__(self) -> None:
        # To begin with, a single prediction that took a second: nothing is known yet, and no division by zero.
        self._ended = 1.0
        self._seconds = 1.0
        self._running = 0
        self._sum_of_starts = 0.0

    def begin(self, now: float) -> None:
        """A prediction takes a slot."""
        self._running += 1
        self._sum_of_starts += now

    def end(self, started: float, now: float) -> None:
        """A prediction frees its slot."""
        self.drop(started)
        self._ended += 1.0
        self._seconds += now - started
        if self._seconds > _MEMORY_SLOT_SECONDS:
            self._ended /= 2
            self._seconds /= 2

    def drop(self, started: float) -> None:
        """A slot is gone with the prediction in it, which says nothing about how long that takes."""
        self._running -= 1
        # Rounding errors of a sum that begins anew now and then do not add up.
        self._sum_of_starts = self._sum_of_starts - started if self._running else 0.0

    def seconds_for(self, predictions: float, slots: int, now: float) -> int:
        """Return after how many whole seconds so many predictions will have ended: at least 1, at most 600.

        Args:
            predictions: How many.
            slots: How many slots work on them; none counts as one, since there is one to come.
            now: The time.
        """
        held = self._seconds + self._running * now - self._sum_of_starts
        return max(1, min(LONGEST_SECONDS, math.ceil(predictions * held / (self._ended * max(1, slots)))))
