"""Everything that `/metrics` shows, as it was at one moment.

It is taken on the server's loop, quickly, and written out in a thread: neither does the loop wait for the
writing, nor does anything change under it.
"""

import copy
from dataclasses import dataclass
from typing import Final

from servekit.runtime.handle import WorkerHandle, WorkerState
from servekit.runtime.pool import Pool
from servekit.server.health import explain_unreadiness
from servekit.server.metrics.tally import Tally

__all__ = ["WORKER_STATES", "Reading"]

_RETIRING: Final = "retiring"
WORKER_STATES: Final = (*(state.value for state in WorkerState if state is not WorkerState.DEAD), _RETIRING)


@dataclass(frozen=True)
class Reading:
    """The state of a server.

    Attributes:
        tally: What happened so far; nobody else writes to it.
        is_ready: Predictions are taken.
        queue_length: How many predictions wait.
        queue_capacity: How many may.
        slots_used: How many predictions run.
        slots: How many could.
        workers: How many workers are in each state.
        pids: The process of each worker, by the worker's number; of workers in threads there is none.
    """

    tally: Tally
    is_ready: bool
    queue_length: int
    queue_capacity: int
    slots_used: int
    slots: int
    workers: dict[str, int]
    pids: dict[int, int]

    @classmethod
    def take(cls, pool: Pool, tally: Tally, queue_capacity: int) -> "Reading":
        """Read a pool and its tally; on their loop."""
        workers = dict.fromkeys(WORKER_STATES, 0)
        for worker in pool.workers:
            workers[_name_state(worker)] += 1
        used = sum(len(worker.running) for worker in pool.workers)
        return cls(
            tally=copy.deepcopy(tally),
            is_ready=explain_unreadiness(pool) is None,
            queue_length=pool.queue_length,
            queue_capacity=queue_capacity,
            slots_used=used,
            slots=used + pool.free_slots,
            workers=workers,
            pids={worker.number: worker.pid for worker in pool.workers if worker.pid is not None},
        )


def _name_state(worker: WorkerHandle) -> str:
    if worker.state is WorkerState.READY and worker.is_retiring:
        return _RETIRING
    return worker.state.value
