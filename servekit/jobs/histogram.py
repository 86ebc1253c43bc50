"""Percentiles of any number of durations, in bounded memory."""

import math
from typing import Final

__all__ = ["Histogram"]


class Histogram:
    """Counts values in buckets whose bounds grow by a constant ratio.

    So each percentile is off by 1 % of itself at most, however many values there are and whatever they are: between
    a microsecond and a million seconds there are some 1400 buckets, of which those in use are kept.

    Source:
        Masson, Rim and Lee, "DDSketch: a fast and fully-mergeable quantile sketch with relative-error guarantees",
        VLDB 2019, section 2.1.
    """

    def __init__(self) -> None:
        self.count = 0
        self.sum = 0.0
        self.least = math.inf
        self.greatest = 0.0
        self._buckets: dict[int, int] = {}

    def add(self, value: float) -> None:
        """Take in a value; what is outside the bounds counts as the nearest one."""
        value = min(max(value, _LEAST), _GREATEST)
        self.count += 1
        self.sum += value
        self.least = min(self.least, value)
        self.greatest = max(self.greatest, value)
        bucket = math.ceil(math.log(value) / _LOG_RATIO)
        self._buckets[bucket] = self._buckets.get(bucket, 0) + 1

    @property
    def mean(self) -> float | None:
        """The mean, or None of nothing."""
        return self.sum / self.count if self.count else None

    def percentile(self, percent: float) -> float | None:
        """Return the value that so many percent of the values do not exceed, or None of nothing."""
        rank = max(1, math.ceil(self.count * percent / 100.0))
        seen = 0
        for bucket in sorted(self._buckets):
            seen += self._buckets[bucket]
            if seen >= rank:
                middle = 2.0 * _RATIO**bucket / (_RATIO + 1.0)
                return min(max(middle, self.least), self.greatest)
        return None

    def spread(self) -> list[tuple[float, int]]:
        """Return how many values there are up to each of some bounds, and above the one before; without empty ones."""
        counts: dict[int, int] = {}
        for bucket, count in sorted(self._buckets.items()):
            step = math.ceil(bucket * _LOG_RATIO / _LOG_STEP)
            counts[step] = counts.get(step, 0) + count
        return [(math.exp(step * _LOG_STEP), count) for step, count in counts.items()]


_ERROR: Final = 0.01
_RATIO: Final = (1.0 + _ERROR) / (1.0 - _ERROR)
_LOG_RATIO: Final = math.log(_RATIO)

_LOG_STEP: Final = math.log(10.0) / 10
"""Ten bounds for a factor of ten: as many as a plot can show."""

_LEAST: Final = 1e-6
_GREATEST: Final = 1e6
