"""How many workers there should be, and who takes whose place.

A worker that dies leaves its place empty, which is filled at once when it had been ready, and after a
growing pause when workers keep dying before that. A worker that is to be replaced keeps its place until
its successor is ready. New code gets places of its own, and takes all when the last of them is ready.
"""

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from servekit.runtime.backoff import Backoff
from servekit.runtime.capacity import Capacity
from servekit.runtime.death import DeathCause
from servekit.runtime.handle import WorkerHandle, WorkerState
from servekit.runtime.setups import Setups

__all__ = ["Places", "Workforce"]


class Workforce(Protocol):
    """The workers that take the places."""

    workers: list[WorkerHandle]
    setups: Setups

    @property
    def is_ready(self) -> bool:
        """Whether any of them can take predictions."""
        ...

    async def start_worker(
        self, generation: int, replaces: WorkerHandle | None = None, *, is_replacement: bool = False
    ) -> None:
        """Start one more."""

    def retire(self, worker: WorkerHandle, cause: DeathCause) -> None:
        """Give a worker nothing new, and close it when it is idle."""

    def release(self) -> None:
        """Let those who are held back take predictions."""

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition holds; raise a `ServekitError` when one of them fails meanwhile."""

    def spawn(self, body: Coroutine[Any, Any, None]) -> None:
        """Run something that ends with them."""


class Places:
    """The places of a crew's workers.

    Args:
        crew: The workers.
        capacity: How many there may be.

    Attributes:
        size: How many places there are.
        generation: Of the code that workers are started with now. No two reloads have the same, failed ones included.
    """

    def __init__(self, crew: Workforce, capacity: Capacity) -> None:
        self.size = max(1, capacity.least)  # one at least, to see that it works
        self.generation = 0
        self._generations = itertools.count(1)
        self._crew = crew
        self._capacity = capacity
        self._backoff = Backoff()
        self._pending = 0  # places that will be filled soon, or after a pause
        self._reloading = asyncio.Lock()
        self._is_trying = False  # new code; until all of it is ready the old one serves

    @property
    def are_filled(self) -> bool:
        """Whether there is a worker for each place, ready or on the way."""
        return self._count_empty() <= 0

    async def open(self) -> None:
        """Start a worker for each place."""
        await self._start_workers(self.size)

    def resize(self, size: int) -> None:
        """Have more workers, or fewer; those that go finish what runs on them."""
        self.size = max(self._capacity.least, min(self._capacity.most, size))
        self.fill()
        ready = [worker for worker in self._list_holders() if worker.state is WorkerState.READY]
        ready.sort(key=lambda worker: (len(worker.running), -worker.number))
        for worker in ready[: max(0, -self._count_empty())]:
            self._crew.retire(worker, DeathCause.SCALED_DOWN)

    def fill(self, *, after_loss: bool = False) -> None:
        """Start workers for the empty places, but for those that wait until a pause is over.

        Args:
            after_loss: They are empty because workers are gone, or go, and not because there are more places.
        """
        for _ in range(self._count_empty() - self._pending):
            self._pending += 1
            self._crew.spawn(self._start_pending(is_replacement=after_loss))

    def replace(self, worker: WorkerHandle) -> bool:
        """Start a successor of a worker, which goes when that is ready; say whether it was begun."""
        may_go = worker in self._list_holders() and worker.state is WorkerState.READY and not worker.has_successor
        if may_go:
            worker.has_successor = True
            self._crew.spawn(self._crew.start_worker(self.generation, worker, is_replacement=True))
        return may_go

    async def reload(self) -> None:
        """Replace all workers by new ones with today's code; the old ones serve until those are ready.

        Raises:
            ServekitError: The new ones could not be made ready; the old ones stay.
        """
        async with self._reloading:
            previous, self.generation = self.generation, next(self._generations)
            self.size = max(1, self.size)
            self._crew.setups.failure = None
            self._is_trying = True
            try:
                await self._start_workers(self.size)
                await self._crew.until(self._are_all_ready)
            except BaseException:
                self._call_off(previous)
                raise
            finally:
                self._is_trying = False
            self._crew.release()
            for worker in [each for each in self._crew.workers if each.generation < self.generation]:
                self._crew.retire(worker, DeathCause.RELOADED)

    # ------------------------------------------------------------------ for the crew

    def holds_back(self, worker: WorkerHandle) -> bool:
        """Whether a worker that is ready has new code, which is to take over as a whole."""
        return self._is_trying and worker.generation == self.generation

    def occupy(self, worker: WorkerHandle) -> None:
        """A worker is ready: it takes its place, and whoever had it goes."""
        self._backoff.note_ready()
        old, worker.replaces = worker.replaces, None
        if old is not None:
            self._crew.retire(old, DeathCause.RECYCLED)
        if self._count_empty() < 0:  # there are fewer places than when it was started, or its own was filled meanwhile
            self._crew.retire(worker, DeathCause.SCALED_DOWN)

    def vacate(self, worker: WorkerHandle) -> None:
        """A worker of today's code is gone: have another one come, if its place still is to be filled."""
        for successor in self._crew.workers:
            if successor.replaces is worker:
                successor.replaces = None
        if worker.replaces is not None or not self.are_filled:
            self._crew.spawn(self._refill(worker, self.choose_pause(worker)))

    def choose_pause(self, worker: WorkerHandle) -> float:
        """Return the seconds between a worker's end and the start of the one that takes its place."""
        return self._backoff.choose(worker, had_been_ready=worker.was_ready)

    # ------------------------------------------------------------------ inside

    async def _start_workers(self, count: int) -> None:
        await asyncio.gather(*(self._crew.start_worker(self.generation) for _ in range(count)))

    async def _start_pending(self, *, is_replacement: bool) -> None:
        self._pending -= 1
        await self._crew.start_worker(self.generation, is_replacement=is_replacement)

    async def _refill(self, gone: WorkerHandle, pause: float) -> None:
        self._pending += gone.replaces is None
        try:
            await asyncio.sleep(pause)
        finally:
            self._pending -= gone.replaces is None
        old = gone.replaces
        if old is not None and old in self._list_holders() and old.state is WorkerState.READY:
            await self._crew.start_worker(self.generation, old, is_replacement=True)
        elif not self.are_filled:
            await self._crew.start_worker(self.generation, is_replacement=True)

    def _are_all_ready(self) -> bool:
        return sum(worker.state is WorkerState.READY for worker in self._list_holders()) >= self.size

    def _call_off(self, previous: int) -> None:
        """Give up a new generation; those of the old one that died meanwhile are replaced."""
        for worker in [each for each in self._crew.workers if each.generation == self.generation]:
            worker.is_retiring = True
            worker.kill(DeathCause.SETUP_FAILED)
        self.generation = previous
        for worker in self._crew.workers:  # its successor may have died unnoticed, with what was then old code
            worker.has_successor = any(each.replaces is worker for each in self._crew.workers)
        if self._crew.is_ready:
            self._crew.setups.failure = None
        self.fill(after_loss=True)

    def _count_empty(self) -> int:
        return self.size - len(self._list_holders())

    def _list_holders(self) -> list[WorkerHandle]:
        """List the workers that hold a place: not those that go, nor those whose predecessor still has it."""
        return [
            worker
            for worker in self._crew.workers
            if worker.generation == self.generation and not worker.is_retiring and worker.replaces is None
        ]
