"""The slots of a pool whose number adapts: one limit, learned from all workers and kept by all."""

import time
from typing import Self

from servekit.runtime.crew import Crew
from servekit.runtime.handle import WorkerHandle
from servekit.runtime.limit import ConcurrencyLimit
from servekit.runtime.prediction import Prediction
from servekit.runtime.protocol import Completed
from servekit.spec import ServeSpec

__all__ = ["AdaptiveSlots"]


class AdaptiveSlots:
    """Gives workers their slots, and learns from what they complete how many to give.

    A lower limit takes no slot from under a prediction: a worker that runs more gets nothing new until it runs less.

    Args:
        limit: Finds the number.
        crew: The workers; all run the same model, so one limit serves them all.
    """

    def __init__(self, limit: ConcurrencyLimit, crew: Crew) -> None:
        self._limit = limit
        self._crew = crew
        self._wanted_at = 0.0

    @classmethod
    def from_spec(cls, serve: ServeSpec, crew: Crew) -> Self | None:
        """Make them as the spec says; None if their number is fixed."""
        bounds = serve.concurrency
        return None if bounds.is_fixed else cls(ConcurrencyLimit(bounds.min, bounds.max, serve.target_latency), crew)

    @property
    def per_worker(self) -> int:
        """How many each worker has now."""
        return self._limit.current

    def give(self, worker: WorkerHandle) -> None:
        """Give a worker that has become ready as many as the others have."""
        worker.slots = self._limit.current

    def want(self) -> None:
        """Take note of a prediction that found no slot, whether it waits or was refused."""
        self._wanted_at = time.perf_counter()

    def learn(
        self, worker: WorkerHandle, prediction: Prediction, message: Completed, in_flight: int, *, is_wanted: bool
    ) -> None:
        """Learn from a prediction that is about to give back its slot.

        Args:
            worker: Where it ran.
            prediction: What ended.
            message: How.
            in_flight: How many run on all workers, it included.
            is_wanted: Whether others wait for its slot.
        """
        if worker.is_retiring or message.status != "succeeded":
            return  # what fails or is canceled says nothing of how long it takes to succeed
        # Where nothing may wait, a slot is free for a moment again and again though many are refused.
        is_wanted = is_wanted or self._wanted_at > prediction.started_tick
        surplus = len(worker.running) - worker.slots
        if surplus > 0 or (surplus < 0 and not is_wanted):
            self._limit.pause()
            return
        now = time.perf_counter()
        self._limit.record(now, now - prediction.started_tick, in_flight, is_wanted=is_wanted)
        if worker.slots != self._limit.current:
            for each in self._crew.workers:
                each.slots = self._limit.current
