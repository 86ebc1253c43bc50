"""`cog.mode`: what a server runs."""

from enum import Enum

__all__ = ["Mode"]


class Mode(Enum):
    """What a server runs."""

    PREDICT = "predict"
    TRAIN = "train"

    def __str__(self) -> str:
        return self.value
