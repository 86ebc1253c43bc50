"""A part of the list of predictions."""

from collections.abc import Sequence
from dataclasses import dataclass

from servekit.runtime.prediction import Prediction

__all__ = ["Page"]


@dataclass(frozen=True)
class Page:
    """A part of the list of predictions, newest first.

    Attributes:
        predictions: What stands on it.
        next_cursor: Where the next page begins; None on the last one.
    """

    predictions: Sequence[Prediction]
    next_cursor: int | None
