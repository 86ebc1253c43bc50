"""How long a call takes, by what is in it: seconds = per_unit * cost + fixed, as it was measured.

Source:
    The line, and the thought that it tells how long it is worth to wait for more, are of BentoML's adaptive batching,
    after Crankshaw et al., "Clipper: A Low-Latency Online Prediction Serving System", NSDI 2017, section 4.3.
"""

import math
from typing import Final

__all__ = ["CostCurve"]


class CostCurve:
    """A line fitted by least squares to the latest calls; older ones count ever less. It has no clock.

    As long as all calls were alike nobody knows the slope. Estimates then are on the safe side: all of the time may be
    the predictions' own, so that larger calls take as much longer, or all of it the call's, so that one less is worth
    trying.
    """

    __slots__ = (
        "_costs",
        "_fixed",
        "_mean_cost",
        "_mean_seconds",
        "_per_unit",
        "_products",
        "_seconds",
        "_squares",
        "_weight",
    )

    def __init__(self) -> None:
        self._fixed = 0.0
        self._per_unit: float | None = None
        self._mean_cost = 0.0
        self._mean_seconds = 0.0
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

    @property
    def saving(self) -> float:
        """Seconds that one call less saves: what a call takes whatever is in it."""
        return self._mean_seconds if self._per_unit is None else self._fixed

    def seconds_for(self, cost: float) -> float:
        """Return how long a call of this cost is going to take; 0 while nothing is known."""
        if self._per_unit is not None:
            return self._fixed + self._per_unit * cost
        return self._mean_seconds * max(1.0, cost / self._mean_cost) if self._mean_cost else self._mean_seconds

    def cost_within(self, seconds: float) -> float:
        """Return the greatest cost of a call that takes no longer; infinity while nothing is known."""
        slope = self._per_unit
        if slope is None:
            slope = self._mean_seconds / self._mean_cost if self._mean_cost else 0.0
        if slope <= 0:
            return math.inf
        return max(0.0, (seconds - self._fixed) / slope)

    def _fit(self) -> None:
        self._mean_cost = self._costs / self._weight
        self._mean_seconds = self._seconds / self._weight
        variance = self._squares / self._weight - self._mean_cost * self._mean_cost
        if variance > _SPREAD * _SPREAD * self._mean_cost * self._mean_cost:
            slope = (self._products / self._weight - self._mean_cost * self._mean_seconds) / variance
            self._per_unit = min(max(0.0, slope), self._mean_seconds / self._mean_cost)
        if self._per_unit is not None:
            self._fixed = max(0.0, self._mean_seconds - self._per_unit * self._mean_cost)


_KEPT: Final = 0.98
"""What a call counts for after the next one: about the latest fifty matter."""

_SPREAD: Final = 0.05
"""Costs that differ by less, as a share of their mean, tell more of chance than of the slope; the old one is kept."""
