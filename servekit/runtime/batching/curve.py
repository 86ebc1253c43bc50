"""How long a call takes, by what is in it: seconds = per_unit * cost + fixed, as it was measured.

Source:
    The line, and the thought that it tells how long it is worth to wait for more, are of BentoML's adaptive batching,
    after Crankshaw et al., "Clipper: A Low-Latency Online Prediction Serving System", NSDI 2017, section 4.3.
"""

from typing import Final

__all__ = ["CostCurve"]


class CostCurve:
    """A line fitted by least squares to the latest calls; older ones count ever less. It has no clock.

    Attributes:
        fixed: Seconds that a call takes whatever is in it; 0 until calls of different cost were seen.
        per_unit: Seconds that each unit of cost adds.
    """

    __slots__ = ("_costs", "_products", "_seconds", "_squares", "_weight", "fixed", "per_unit")

    def __init__(self) -> None:
        self.fixed = 0.0
        self.per_unit = 0.0
        self._weight = 0.0
        self._costs = 0.0
        self._seconds = 0.0
        self._squares = 0.0
        self._products = 0.0

    def add(self, cost: float, seconds: float) -> None:
        """Take in a call.

        Args:
            cost: Of all predictions in it together.
            seconds: How long it took.
        """
        self._weight = self._weight * _KEPT + 1.0
        self._costs = self._costs * _KEPT + cost
        self._seconds = self._seconds * _KEPT + seconds
        self._squares = self._squares * _KEPT + cost * cost
        self._products = self._products * _KEPT + cost * seconds
        self._fit()

    def seconds_for(self, cost: float) -> float:
        """Return how long a call of this cost is going to take."""
        return self.fixed + self.per_unit * cost

    def cost_within(self, seconds: float) -> float:
        """Return the greatest cost of a call that takes no longer; infinity while nothing is known."""
        if self.per_unit <= 0:
            return float("inf") if seconds >= self.fixed else 0.0
        return (seconds - self.fixed) / self.per_unit

    def _fit(self) -> None:
        mean_cost = self._costs / self._weight
        mean_seconds = self._seconds / self._weight
        variance = self._squares / self._weight - mean_cost * mean_cost
        if variance > (_SPREAD * mean_cost) ** 2:
            slope = (self._products / self._weight - mean_cost * mean_seconds) / variance
            self.per_unit = min(max(0.0, slope), mean_seconds / mean_cost)
        elif self.fixed == 0.0:  # all calls were alike: as if all of the time were the predictions' own
            self.per_unit = mean_seconds / mean_cost if mean_cost > 0 else 0.0
        self.fixed = max(0.0, mean_seconds - self.per_unit * mean_cost)


_KEPT: Final = 0.98
"""What a call counts for after the next one: about the latest fifty matter."""

_SPREAD: Final = 0.05
"""Costs that differ by less, as a share of their mean, tell more of chance than of the slope; the old one is kept."""
