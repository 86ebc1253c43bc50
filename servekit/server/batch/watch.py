"""How long a batch may take, and how long it may be without a slot."""

import asyncio
import contextvars
import time
from collections.abc import Callable
from typing import Protocol

from servekit.runtime.prediction import Prediction, Status
from servekit.runtime.terms import Terms
from servekit.spec import QueueSpec

__all__ = ["ProgressWatch", "Watched"]


class Watched(Protocol):
    """A batch, as far as its time goes."""

    @property
    def is_without_slot(self) -> bool:
        """Whether there is something to run, and nothing runs."""
        ...

    def begin_no_more(self, status: Status, error: str) -> None:
        """Leave those that are live to their own ends, and give all others this one."""

    def end(self, status: Status, error: str) -> None:
        """Come to an early end: cancel what is live, and begin nothing more."""


class ProgressWatch:
    """Ends a batch whose time is up, or which gets no slot.

    Inputs of a batch wait for each other, so it is no fault of theirs how long each waits. What may not be is that
    for longer than a single request may wait none of them runs.

    Args:
        batch: What is watched.
        terms: What its request allows.
        queue: What the spec allows; the shorter time counts.

    Attributes:
        obstacle: Why the latest input that could not be begun could not.
    """

    def __init__(self, batch: Watched, terms: Terms, queue: QueueSpec) -> None:
        self.obstacle = ""
        self._batch = batch
        self._terms = terms
        self._patience, self._setter = queue.timeout, "serve.queue.timeout"
        if terms.queue_timeout is not None and terms.queue_timeout < queue.timeout:
            self._patience, self._setter = terms.queue_timeout, "queue_timeout of the request"
        self._loop = asyncio.get_running_loop()
        self._ran_at = self._loop.time()
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def start(self) -> None:
        """Begin to watch."""
        self._call_later("slot", self._patience, self._look_for_slot)
        if self._terms.timeout is not None:
            assert self._terms.asked_at is not None
            left = self._terms.timeout - (time.perf_counter() - self._terms.asked_at)
            self._call_later("end", left, self._on_time_over)

    def close(self) -> None:
        """Watch no longer."""
        for timer in self._timers.values():
            timer.cancel()

    def note_end(self, prediction: Prediction) -> None:
        """Take note that one of the batch's has ended; it may have run until now."""
        if prediction.started_at is not None:
            self._ran_at = self._loop.time()

    def _look_for_slot(self) -> None:
        now = self._loop.time()
        if not self._batch.is_without_slot:
            self._ran_at = now
        left = self._ran_at + self._patience - now
        if left > 0:
            self._call_later("slot", left, self._look_for_slot)
            return
        reason = f"canceled: no slot became free within {self._patience:g} seconds ({self._setter})"
        self._batch.end(Status.CANCELED, f"{reason}; {self.obstacle}" if self.obstacle else reason)

    def _on_time_over(self) -> None:
        # Those that are live have the same limit, and a timer of their own.
        error = f"timed out: it took longer than {self._terms.timeout:g} seconds (timeout of the request)"
        self._batch.begin_no_more(Status.FAILED, error)

    def _call_later(self, name: str, seconds: float, call: Callable[[], None]) -> None:
        self._timers[name] = self._loop.call_later(seconds, call, context=contextvars.Context())
