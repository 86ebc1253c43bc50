"""Which limit is tried next: how far from the present one, in which direction, and after how long a rest."""

import math
from typing import Final

__all__ = ["Steps"]


class Steps:
    """The steps of a search: large ones while they pay, finer ones around the place where they do not.

    A step multiplies or divides the limit by a ratio, by 2 at first. When neither direction pays, the ratio shrinks to
    its square root. When it is fine and still neither pays, the search rests, each time twice as long, up to a bound:
    so a model that has become another one is found out, and little is lost on trying.

    Args:
        minimum: The least limit.
        maximum: The greatest.
    """

    def __init__(self, minimum: int, maximum: int) -> None:
        self._minimum = minimum
        self._maximum = maximum
        self._upwards = True
        self._ratio = _COARSE
        self._refused = 0
        self._rest = 0
        self._next_rest = _SHORTEST_REST

    @property
    def is_resting(self) -> bool:
        """Whether nothing is to be tried for now."""
        return self._rest > 0

    def rest(self) -> None:
        """Let one part of the rest pass: as much time as one measurement takes."""
        self._rest -= 1

    def next_from(self, limit: int) -> int:
        """Return the limit to try; the same one if there is none in this direction."""
        return self._reach(limit, upwards=self._upwards)

    def accept(self) -> None:
        """The step paid: go on in this direction, faster if the last one had paid as well."""
        if not self._refused:
            self._ratio = min(_COARSE, self._ratio**2)
        self._refused = 0
        self._next_rest = _SHORTEST_REST

    def refuse(self, limit: int) -> None:
        """The step from this limit did not pay: try the other direction, or both with a smaller step."""
        self._upwards = not self._upwards
        self._refused += 1
        if self._refused % 2:
            return
        is_smallest = self._reach(limit, upwards=True) - self._reach(limit, upwards=False) <= 2  # noqa: PLR2004 - one each way
        if is_smallest or self._ratio <= _FINE:
            self.settle()
        else:
            self._ratio **= 0.5

    def leave_open(self) -> None:
        """The step made too little difference to be seen in the noise: a larger one shows more, after a rest."""
        self._upwards = not self._upwards
        self._refused = 0
        self._begin_rest()
        self._ratio = min(_COARSE, self._ratio**2)

    def settle(self) -> None:
        """This is the best for now: rest, then look around again."""
        self._begin_rest()
        self._ratio = _MIDDLE
        self._upwards = True
        self._refused = 0

    def restart(self, *, upwards: bool) -> None:
        """The model is another one: search anew from here."""
        self._upwards = upwards
        self._ratio = _COARSE
        self._refused = 0
        self._rest = 0
        self._next_rest = _SHORTEST_REST

    def _reach(self, limit: int, *, upwards: bool) -> int:
        if upwards:
            return min(self._maximum, max(limit + 1, round(limit * self._ratio)))
        return max(self._minimum, min(limit - 1, round(limit / self._ratio)))

    def _begin_rest(self) -> None:
        self._rest = self._next_rest
        self._next_rest = min(_LONGEST_REST, 2 * self._next_rest)


_COARSE: Final = 2.0
_MIDDLE: Final = math.sqrt(2.0)
_FINE: Final = 1.1
"""Chosen by trials: the first reaches 64 from 1 in six steps, the last is the precision that is worth its price."""

_SHORTEST_REST: Final = 4
_LONGEST_REST: Final = 16
"""In measurements. A trial takes about four, two of them at the other limit, so at rest 1 in 10 is spent there."""
