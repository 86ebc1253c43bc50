"""Predictions in memory: as many as the history's limits allow, the oldest go first."""

import asyncio
import contextvars
import time
from collections import OrderedDict
from collections.abc import Callable
from itertools import islice

from servekit.runtime.prediction import Prediction
from servekit.spec import HistorySpec
from servekit.store.page import Page

__all__ = ["MemoryStore"]

_RECORD_BYTES = 1500
"""What an empty prediction takes in memory, measured with tracemalloc, rounded."""

_EVENT_BYTES = 45
"""What an event takes beside its data: the head of a bytes object, a pointer, a byte for its kind."""


class MemoryStore:
    """Keeps predictions that run, and those that ended until a limit is reached.

    Every operation but `page` costs the same however many predictions there are.

    Args:
        history: How many finished predictions, how many bytes of them, and for how long.
        clock: Seconds since the epoch.
    """

    def __init__(self, history: HistorySpec, *, clock: Callable[[], float] = time.time) -> None:
        self._max = history.max
        self._max_size = history.size
        self._ttl = history.ttl
        self._clock = clock
        self._count = 0
        # In order of arrival, with the number that cursors are made of.
        self._kept: dict[str, tuple[int, Prediction]] = {}
        # In order of their end, which is the order in which they go, with the size that was counted.
        # Not a dict: taking the first of one gets slower with each that was taken before.
        self._finished: OrderedDict[str, tuple[Prediction, int]] = OrderedDict()
        self._size = 0
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, id: str) -> Prediction | None:  # noqa: A002 - the field's name everywhere
        """Return a prediction, or None when it is unknown or its time is up."""
        entry = self._kept.get(id)
        return None if entry is None else entry[1]

    def put(self, prediction: Prediction) -> None:
        """Keep a prediction whose id is not taken."""
        self._count += 1
        self._kept[prediction.id] = (self._count, prediction)

    def settle(self, prediction: Prediction) -> None:
        """Take note that a prediction has ended: from now on it counts towards the history's limits."""
        if self.get(prediction.id) is not prediction:
            return  # it was discarded, or refused before it was kept
        size = prediction.size + _RECORD_BYTES + _EVENT_BYTES * len(prediction.kinds)
        self._finished[prediction.id] = (prediction, size)
        self._size += size
        while self._finished and (len(self._finished) > self._max or self._size > self._max_size):
            self._drop_oldest()
        if self._timer is None and self._finished:
            self._set_timer(self._ttl)

    def discard(self, prediction: Prediction) -> None:
        """Let go of a prediction at once, as if it had never been asked for."""
        if self.get(prediction.id) is not prediction:
            return
        del self._kept[prediction.id]
        _, size = self._finished.pop(prediction.id, (prediction, 0))
        self._size -= size

    def page(self, cursor: int | None, limit: int) -> Page:
        """Return up to `limit` predictions, newest first, from a cursor on."""
        newest_first = (entry for entry in reversed(self._kept.values()) if cursor is None or entry[0] <= cursor)
        entries = list(islice(newest_first, limit + 1))
        next_cursor = entries[limit][0] if len(entries) > limit else None
        return Page([prediction for _, prediction in entries[:limit]], next_cursor)

    def close(self) -> None:
        """Stop the clock; nothing goes any more by itself."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _drop_oldest(self) -> None:
        _, (prediction, size) = self._finished.popitem(last=False)
        self._size -= size
        del self._kept[prediction.id]

    def _set_timer(self, seconds: float) -> None:
        # Under an empty Context: the timer outlives the request that happens to set it.
        self._timer = asyncio.get_running_loop().call_later(seconds, self._expire, context=contextvars.Context())

    def _expire(self) -> None:
        """Drop what is too old, and come back when the next one is: one timer, however many there are."""
        self._timer = None
        now = self._clock()
        while self._finished:
            prediction, _ = next(iter(self._finished.values()))
            left = (prediction.completed_at or now) + self._ttl - now
            if left > 0:
                self._set_timer(left)
                return
            self._drop_oldest()
