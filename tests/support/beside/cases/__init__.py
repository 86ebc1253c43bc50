"""The cases, by area."""

from typing import Final

from beside.case import Area
from beside.cases import (
    answers,
    cancels,
    capacity,
    ends,
    health,
    ids,
    inputs,
    outputs,
    streams,
    trainings,
    uploads,
    webhooks,
)

__all__ = ["AREAS"]

AREAS: Final[tuple[Area, ...]] = tuple(
    module.AREA
    for module in (
        answers,
        inputs,
        outputs,
        ids,
        capacity,
        streams,
        cancels,
        webhooks,
        health,
        ends,
        uploads,
        trainings,
    )
)
"""In the order of the docs."""
