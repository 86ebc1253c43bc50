"""How long predictions may wait and take, and the timers that see to it.

Every live prediction has one timer at most: while it waits for what is over first, its patience or its
whole time, and while it runs for the whole time.
"""

import asyncio
import contextvars
import time
from collections.abc import Callable
from dataclasses import dataclass

from servekit.runtime.prediction import Prediction
from servekit.runtime.terms import Terms
from servekit.spec import ServeSpec

__all__ = ["Deadlines", "Limit"]


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit of a prediction's time, which begins with its request.

    Attributes:
        seconds: How long.
        setter: What set it, as messages name it.
        is_for_waiting: It is over when the prediction has a slot.
    """

    seconds: float
    setter: str
    is_for_waiting: bool = False

    @property
    def verdict(self) -> str:
        """The error of a prediction that ran into it."""
        if self.is_for_waiting:
            return f"no slot became free within {self.seconds:g} seconds ({self.setter})"
        return f"timed out: it took longer than {self.seconds:g} seconds ({self.setter})"


class Deadlines:
    """The timers of all live predictions. Belongs to one event loop.

    Args:
        serve: What the spec allows; a request can ask for less.
        on_passed: Called with a prediction whose time is over, and the limit that it ran into.
    """

    def __init__(self, serve: ServeSpec, on_passed: Callable[[Prediction, Limit], None]) -> None:
        self._on_passed = on_passed
        self._waiting = Limit(serve.queue.timeout, "serve.queue.timeout", is_for_waiting=True)
        self._whole = None if serve.timeout is None else Limit(serve.timeout, "serve.timeout")
        self._timers: dict[int, asyncio.TimerHandle] = {}

    def begin_waiting(self, prediction: Prediction) -> None:
        """Watch over a prediction in the queue."""
        limit = self._patience(prediction.terms)
        if limit is not None:
            self._set(prediction, limit, limit.seconds - (time.perf_counter() - _beginning(prediction)))

    def begin_running(self, prediction: Prediction) -> float | None:
        """Watch over a prediction that has its slot.

        Returns:
            When its time is over, in seconds since the epoch, or None if it may take for ever.
        """
        self.end(prediction)
        terms = prediction.terms
        if terms.asked_at is None:
            limit = self._whole if terms.timeout is None else self._whole_time(terms)
            waited = prediction.started_tick - prediction.created_tick
        else:
            limit, waited = self._limit_part(terms, prediction.started_tick - terms.asked_at)
        if limit is None:
            return None
        left = limit.seconds - waited
        self._set(prediction, limit, left)
        return time.time() + left

    def find_passed(self, prediction: Prediction) -> Limit | None:
        """Return the limit that a waiting prediction has run into, should its timer only be about to tell."""
        limit = self._patience(prediction.terms)
        if limit is None:
            return None
        return limit if time.perf_counter() - _beginning(prediction) >= limit.seconds else None

    def end(self, prediction: Prediction) -> None:
        """Watch no longer."""
        timer = self._timers.pop(prediction.key, None)
        if timer is not None:
            timer.cancel()

    def _patience(self, terms: Terms) -> Limit | None:
        if terms.asked_at is not None:
            return None if terms.timeout is None else Limit(terms.timeout, _OF_THE_REQUEST)
        waiting = self._waiting
        if terms.queue_timeout is not None and terms.queue_timeout < waiting.seconds:
            waiting = Limit(terms.queue_timeout, "queue_timeout of the request", is_for_waiting=True)
        whole = self._whole_time(terms)
        return waiting if whole is None or waiting.seconds <= whole.seconds else whole

    def _whole_time(self, terms: Terms) -> Limit | None:
        whole = self._whole
        if terms.timeout is None or (whole is not None and whole.seconds <= terms.timeout):
            return whole
        return Limit(terms.timeout, _OF_THE_REQUEST)

    def _limit_part(self, terms: Terms, since_request: float) -> tuple[Limit | None, float]:
        """Return what is over first for a part of a request, and how much of that was over when it got its slot."""
        whole = self._whole
        if terms.timeout is None or (whole is not None and whole.seconds <= terms.timeout - since_request):
            return whole, 0.0
        return Limit(terms.timeout, _OF_THE_REQUEST), since_request

    def _set(self, prediction: Prediction, limit: Limit, left: float) -> None:
        self._timers[prediction.key] = asyncio.get_running_loop().call_later(
            left, self._pass, prediction, limit, context=_EMPTY
        )

    def _pass(self, prediction: Prediction, limit: Limit) -> None:
        self._timers.pop(prediction.key, None)
        self._on_passed(prediction, limit)


def _beginning(prediction: Prediction) -> float:
    """Return since when a prediction waits, or the request of which it is a part."""
    asked_at = prediction.terms.asked_at
    return prediction.created_tick if asked_at is None else asked_at


_OF_THE_REQUEST = "timeout of the request"

_EMPTY = contextvars.Context()
"""What a timer starts must not carry the request's Context. Only the loop's thread runs in it."""
