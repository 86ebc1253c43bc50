"""Joining the stream of a prediction that is under way or over: who may, and from where on."""

from dataclasses import dataclass

from servekit.errors import StreamLimitError
from servekit.runtime.prediction import Prediction

__all__ = ["Start", "check_room", "find_start"]

_MAX_READERS = 1024
"""Streams of one prediction at a time. Each event is written to all of them; by feel far more than anybody needs."""

_RETRY_AFTER_SECONDS = 5
"""When some of so many may have gone; chosen by feel."""


@dataclass(frozen=True, slots=True)
class Start:
    """Where a stream begins.

    Attributes:
        seen: How many of the prediction's events are not sent.
        skipped: How many of these the client has never had, though it asked for them.
    """

    seen: int
    skipped: int = 0


def check_room(prediction: Prediction) -> None:
    """Refuse one stream too many of a prediction.

    Raises:
        StreamLimitError: There are as many as may be.
    """
    if prediction.readers >= _MAX_READERS:
        message = f"{_MAX_READERS} clients have the prediction {prediction.id!r} streamed already; poll it, or wait"
        raise StreamLimitError(message, _RETRY_AFTER_SECONDS)


def find_start(prediction: Prediction, seen: int, history: int | None) -> Start:
    """Say where the stream of a client begins.

    Args:
        prediction: What is streamed.
        seen: How many of its events the client has.
        history: How many events of the past may be sent again; None for all, and with 0 nobody asks for them.
    """
    count = len(prediction.kinds)
    if history is None:
        return Start(seen)
    if history == 0:  # but how it ended is always told
        return Start(max(seen, count - 1 if prediction.is_done else count))
    first = max(seen, count - history)
    return Start(first, first - seen)
