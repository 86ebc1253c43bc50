"""What a server runs, predictions or trainings, as its paths, its document and its messages call it.

A training is a prediction whose predictor trains: everything but these names, and what a request for one may ask
for, is the same.
"""

from dataclasses import dataclass
from typing import Final

__all__ = ["PREDICTIONS", "TRAININGS", "Resource"]


@dataclass(frozen=True, slots=True)
class Resource:
    """What a server runs.

    Attributes:
        noun: What one of them is called.
        path: Where all of them are.
        raw_path: The same as it is sent.
        prefix: What stands in front of the names of the schemas `Input` and `Output`.
        is_streamed: Whether the request for one may be answered with its events.
    """

    noun: str
    path: str
    raw_path: bytes
    prefix: str
    is_streamed: bool

    @property
    def title(self) -> str:
        """The noun as part of the name of a schema."""
        return self.noun.capitalize()


PREDICTIONS: Final = Resource(
    "prediction",
    "/predictions",
    b"/predictions",
    prefix="",
    is_streamed=True,
)
TRAININGS: Final = Resource(
    "training",
    "/trainings",
    b"/trainings",
    prefix="Training",
    is_streamed=False,
)
