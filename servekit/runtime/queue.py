"""Predictions that wait for a slot: bounded, first come first served, none waits longer than its limit."""

import asyncio
import contextvars
from collections import OrderedDict
from collections.abc import Callable

from servekit.runtime.prediction import Prediction

__all__ = ["WaitingLine"]


class WaitingLine:
    """The queue in front of the slots. Belongs to one event loop.

    Args:
        max_length: How many may wait.
        timeout_seconds: How long one may wait.
        on_timeout: Called with a prediction that has waited too long; it is out of the line by then.
    """

    def __init__(self, max_length: int, timeout_seconds: float, on_timeout: Callable[[Prediction], None]) -> None:
        self._max_length = max_length
        self._timeout = timeout_seconds
        self._on_timeout = on_timeout
        self._waiting: OrderedDict[int, tuple[Prediction, asyncio.TimerHandle]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def is_full(self) -> bool:
        """Whether the next one has no place."""
        return len(self._waiting) >= self._max_length

    @property
    def first(self) -> Prediction | None:
        """The one that has waited longest, or None."""
        return next((prediction for prediction, _ in self._waiting.values()), None)

    def put(self, prediction: Prediction) -> None:
        """Add a prediction at the end."""
        # The timer must not carry the request's Context: what it starts outlives the request.
        timer = asyncio.get_running_loop().call_later(
            self._timeout, self._expire, prediction, context=contextvars.Context()
        )
        self._waiting[prediction.key] = (prediction, timer)

    def take(self) -> Prediction | None:
        """Remove and return the one that has waited longest, or None."""
        if not self._waiting:
            return None
        _, (prediction, timer) = self._waiting.popitem(last=False)
        timer.cancel()
        return prediction

    def remove(self, prediction: Prediction) -> bool:
        """Take a prediction out, wherever it stands, and say whether it was there."""
        entry = self._waiting.pop(prediction.key, None)
        if entry is None:
            return False
        entry[1].cancel()
        return True

    def _expire(self, prediction: Prediction) -> None:
        if self._waiting.pop(prediction.key, None) is not None:
            self._on_timeout(prediction)
