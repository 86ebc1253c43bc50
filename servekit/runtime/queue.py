"""Predictions that wait for a slot: bounded, the most urgent first, and first come first served among equals."""

from collections import OrderedDict
from typing import Final

from servekit.runtime.prediction import Prediction

__all__ = ["WaitingLine"]


class WaitingLine:
    """The queue in front of the slots.

    Each priority has a line of its own, of which only the heads are compared. A waiting prediction
    gains one level of priority for every `ageing_seconds`; all age at the same pace, so which of two is
    the more urgent never changes while they wait, and no clock is needed to tell.

    Args:
        max_length: How many may wait.
        ageing_seconds: How long a wait is worth one level of priority; with None it is worth nothing.
    """

    def __init__(self, max_length: int, ageing_seconds: float | None) -> None:
        self._max_length = max_length
        self._ageing = ageing_seconds
        self._length = 0
        # Only lines in which somebody waits. Not dicts: taking the first of one gets slower with each taken before.
        self._lines: dict[int, OrderedDict[int, Prediction]] = {}

    def __len__(self) -> int:
        return self._length

    @property
    def is_full(self) -> bool:
        """Whether the next one has no place."""
        return self._length >= self._max_length

    @property
    def first(self) -> Prediction | None:
        """The one that has waited longest, or None."""
        heads = (next(iter(line.values())) for line in self._lines.values())
        return min(heads, key=lambda prediction: prediction.created_tick, default=None)

    @property
    def head(self) -> Prediction | None:
        """The most urgent one, or None."""
        if not self._lines:
            return None
        level = next(iter(self._lines)) if len(self._lines) == 1 else self._most_urgent()
        return next(iter(self._lines[level].values()))

    def put(self, prediction: Prediction) -> None:
        """Add a prediction behind those of its priority."""
        line = self._lines.get(prediction.terms.priority)
        if line is None:
            line = self._lines[prediction.terms.priority] = OrderedDict()
        line[prediction.key] = prediction
        self._length += 1

    def take(self) -> Prediction | None:
        """Remove and return the most urgent one, or None."""
        prediction = self.head
        if prediction is not None:
            self.remove(prediction)
        return prediction

    def remove(self, prediction: Prediction) -> bool:
        """Take a prediction out, wherever it stands, and say whether it was there."""
        level = prediction.terms.priority
        line = self._lines.get(level)
        if line is None or line.pop(prediction.key, None) is None:
            return False
        if not line:
            del self._lines[level]
        self._length -= 1
        return True

    def _most_urgent(self) -> int:
        return max(self._lines) if self._ageing is None else min(self._lines, key=self._rank)

    def rank(self, prediction: Prediction) -> float:
        """Return how urgent a prediction is beside others, whenever these are asked for: the lower, the more.

        It is since when one of priority 0 would have to wait to be as urgent.
        """
        ageing = _NEVER if self._ageing is None else self._ageing
        return prediction.created_tick - prediction.terms.priority * ageing

    def _rank(self, level: int) -> tuple[float, float]:
        first = next(iter(self._lines[level].values()))
        return self.rank(first), first.created_tick


_NEVER: Final = 1e9
"""Seconds that nobody waits: by no wait a prediction gains a level of priority."""
