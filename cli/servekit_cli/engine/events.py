"""What happens in a build, in one form for every way of building: each event is one of these."""

from dataclasses import dataclass

__all__ = [
    "BuildEvent",
    "BuildFailed",
    "BuildWarning",
    "ImageBuilt",
    "StepDone",
    "StepLog",
    "StepProgress",
    "StepStarted",
]


@dataclass(frozen=True)
class StepStarted:
    """A step began.

    Attributes:
        step: Its id, the same in all events about it.
        name: `[stage 2/5] RUN pip install ...` and the like.
    """

    step: str
    name: str


@dataclass(frozen=True)
class StepLog:
    """A step printed a line; without its end of line."""

    step: str
    line: str


@dataclass(frozen=True)
class StepProgress:
    """A step moved bytes: the context to the engine, or layers from a registry.

    Attributes:
        what: What is moved.
        current: Bytes so far.
        total: Bytes in all; 0 if nobody knows.
    """

    step: str
    what: str
    current: int
    total: int


@dataclass(frozen=True)
class StepDone:
    """A step ended.

    Attributes:
        is_cached: Whether its result was there already.
        seconds: How long it took; None if the engine does not say.
        error: Why it failed; empty if it did not.
    """

    step: str
    is_cached: bool = False
    seconds: float | None = None
    error: str = ""


@dataclass(frozen=True)
class BuildWarning:
    """The engine found something questionable in the Dockerfile."""

    text: str


@dataclass(frozen=True)
class ImageBuilt:
    """The last event of a build that worked.

    Attributes:
        image_id: `sha256:...`.
    """

    image_id: str


@dataclass(frozen=True)
class BuildFailed:
    """The last event of a build that did not."""

    message: str


BuildEvent = StepStarted | StepLog | StepProgress | StepDone | BuildWarning | ImageBuilt | BuildFailed
