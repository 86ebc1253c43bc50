"""Which prediction runs where."""

import math
import os
import time
from collections import Counter

from servekit.runtime.crew import Crew
from servekit.runtime.handle import WorkerHandle
from servekit.runtime.prediction import Prediction
from servekit.runtime.protocol import Run
from servekit.runtime.rate import SlotRate

__all__ = ["Placements"]


class Placements:
    """Which predictions hold which slots of a crew.

    Args:
        crew: Whose slots they are.
        rate: Is told when slots are taken and freed.
    """

    def __init__(self, crew: Crew, rate: SlotRate) -> None:
        self._crew = crew
        self._rate = rate
        self._workers: dict[int, WorkerHandle] = {}
        self._levels: Counter[int] = Counter()  # how many of each priority are placed

    def __len__(self) -> int:
        """Return how many are taken."""
        return len(self._workers)

    def find_free(self, prediction: Prediction) -> WorkerHandle | None:
        """Return where a prediction can go: the worker with the most free slots, or None when all are taken."""
        best: WorkerHandle | None = None
        most = 0
        for worker in self._crew.workers:
            free = worker.free_slots
            if free > most:
                best, most = worker, free
        return self._find_overtaken(prediction) if best is None and self.may_overtake(prediction) else best

    def may_overtake(self, prediction: Prediction) -> bool:
        """Whether a prediction may go before others that wait in a worker for their batch."""
        # In most servers there is one level.
        return prediction.terms.priority > min(self._levels, default=math.inf) and self._takes_batches

    @property
    def _takes_batches(self) -> bool:
        model = self._crew.model
        return model is not None and model.batch_size is not None

    def _find_overtaken(self, prediction: Prediction) -> WorkerHandle | None:
        """Return the worker in which a prediction is overtaken by the fewest, though its slots are taken.

        A worker picks its next batch from what it holds. So that the most urgent are in it, those that wait there for a
        later one must not keep them out.
        """
        priority = prediction.terms.priority
        best = max(self._crew.workers, key=lambda worker: worker.free_slots_at(priority), default=None)
        return best if best is not None and best.free_slots_at(priority) > 0 else None

    def find_worker(self, prediction: Prediction) -> WorkerHandle | None:
        """Return where a prediction runs, or None if it does not."""
        return self._workers.get(prediction.key)

    def take(self, prediction: Prediction, worker: WorkerHandle) -> None:
        """Give a prediction a slot."""
        worker.running[prediction.key] = prediction
        self._workers[prediction.key] = worker
        self._levels[prediction.terms.priority] += 1
        prediction.start()
        self._rate.begin(prediction.started_tick)

    def run(self, prediction: Prediction, worker: WorkerHandle, deadline: float | None, rank: float) -> None:
        """Send a worker what it needs for a prediction that has its slot.

        Args:
            prediction: What to run. The server needs its input no longer.
            worker: Where it has its slot.
            deadline: When its time is over, in seconds since the epoch.
            rank: How urgent it is beside others that the worker holds.
        """
        uploads = prediction.uploads
        feed = self._crew.feed
        if feed.newest is not None:
            feed.sync(worker)
        worker.send(
            Run(
                prediction.key,
                prediction.id,
                prediction.raw_input,
                prediction.context,
                deadline,
                {token: os.fsencode(path) for token, path in uploads.items()} if uploads else None,
                rank,
                prediction.overlay,
            )
        )
        prediction.raw_input = b""

    def free(self, prediction: Prediction, worker: WorkerHandle) -> None:
        """Take a slot back from a prediction whose code has ended."""
        self._rate.end(prediction.started_tick, time.perf_counter())
        self._release(prediction, worker)

    def drop(self, prediction: Prediction, worker: WorkerHandle) -> None:
        """Let go of a slot that is gone with its worker."""
        self._rate.drop(prediction.started_tick)
        self._release(prediction, worker)

    def _release(self, prediction: Prediction, worker: WorkerHandle) -> None:
        worker.running.pop(prediction.key, None)
        worker.stuck.discard(prediction.key)
        if self._workers.pop(prediction.key, None) is not None:
            level = prediction.terms.priority
            self._levels[level] -= 1
            if not self._levels[level]:
                del self._levels[level]
