"""Service times that were measured at one limit: their mean, how sure it is, and how many were over a target."""

import math
from typing import Final

__all__ = ["ServiceTimes"]


class ServiceTimes:
    """What so many completed predictions tell; takes no more room however many they are.

    Args:
        target_seconds: What most of them should stay below.

    Attributes:
        count: How many there are.
        mean: Their mean, in seconds.
    """

    __slots__ = ("_over", "_squares", "_target", "_wanted", "count", "mean")

    def __init__(self, target_seconds: float = math.inf) -> None:
        self.count = 0
        self.mean = 0.0
        self._target = target_seconds
        self._squares = 0.0
        self._over = 0
        self._wanted = 0

    def add(self, seconds: float, *, is_wanted: bool) -> None:
        """Take in one more, and whether others waited for its slot.

        Source:
            Welford, "Note on a Method for Calculating Corrected Sums of Squares and Products", 1962.
        """
        self.count += 1
        deviation = seconds - self.mean
        self.mean += deviation / self.count
        self._squares += deviation * (seconds - self.mean)
        self._over += seconds > self._target
        self._wanted += is_wanted

    @property
    def relative_error(self) -> float:
        """The standard error of the mean, as a share of the mean."""
        return math.sqrt(self._squares) / self.count / self.mean

    @property
    def is_wanted(self) -> bool:
        """Whether others waited for a slot most of the time, so that more slots would be used."""
        return 2 * self._wanted >= self.count

    @property
    def is_over_target(self) -> bool:
        """Whether more than 5 % were over the target."""
        return self._over > _SHARE * self.count

    @property
    def is_surely_over_target(self) -> bool:
        """Whether so many were over the target that it is no accident."""
        expected = _SHARE * self.count
        return self.count >= _FEWEST and self._over > expected + _SURE * math.sqrt(expected * (1 - _SHARE))

    def differs_from(self, other: "ServiceTimes") -> bool:
        """Whether the mean is another one: by enough to matter, and by more than chance explains."""
        change = abs(math.log(self.mean / other.mean))
        return change > _NOTABLE and change > _SURE * math.hypot(self.relative_error, other.relative_error)


_SHARE: Final = 0.05
"""How many may be over the target: a target is for the 95th percentile, as service levels are usually written."""

_FEWEST: Final = 8
"""Below this a few slow ones prove nothing."""

_SURE: Final = 3.0
"""Standard errors; chance goes beyond them about once in a thousand windows."""

_NOTABLE: Final = 0.2
"""A model that becomes a fifth slower or faster may have another best limit; chosen by feel."""
