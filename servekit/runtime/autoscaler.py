"""How many workers there should be, by what is waiting and what was needed."""

import asyncio
import contextvars
import math
from collections import deque
from collections.abc import Callable
from typing import Protocol

from servekit.runtime.capacity import Capacity
from servekit.runtime.crew import Crew
from servekit.runtime.handle import WorkerState
from servekit.spec import ScalingSpec

__all__ = ["Autoscaler", "Demand"]

_LOOKS_PER_TIMEOUT = 4
"""How finely the idle time is divided: fewer workers go after it, and at most a quarter of it later."""


class Demand(Protocol):
    """What is asked of the workers."""

    @property
    def queue_length(self) -> int:
        """How many predictions wait."""
        ...

    @property
    def longest_wait(self) -> float | None:
        """How many seconds the first of them has waited, or None when none waits."""
        ...

    @property
    def slots_per_worker(self) -> int:
        """How many predictions a worker runs at a time, as things are."""
        ...

    @property
    def used_slots(self) -> int:
        """How many predictions run."""
        ...


class Autoscaler:
    """Starts workers while predictions wait too long, and stops those that were not needed for a while.

    One worker is started at a time, and the next when that one's slots are not enough for what waits.
    With a fixed number of workers it does nothing.

    Args:
        scaling: When to do what.
        capacity: How many workers there may be.
        crew: The workers.
        demand: What is asked of them.
    """

    def __init__(self, scaling: ScalingSpec, capacity: Capacity, crew: Crew, demand: Demand) -> None:
        self._scaling = scaling
        self._least = capacity.least
        self._is_fixed = capacity.least == capacity.most
        self._places = crew.places
        self._crew = crew
        self._demand = demand
        self._peaks = deque([0], maxlen=_LOOKS_PER_TIMEOUT)
        self._growing: asyncio.TimerHandle | None = None
        self._shrinking: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to look for workers that are not needed."""
        if not self._is_fixed:
            self._shrinking = self._call_later(self._scaling.idle_timeout / _LOOKS_PER_TIMEOUT, self._shrink)

    def close(self) -> None:
        """Leave the number of workers as it is."""
        for timer in (self._growing, self._shrinking):
            if timer is not None:
                timer.cancel()

    def on_queued(self) -> None:
        """A prediction waits: see to it that there is a worker, and look again when it has waited for long."""
        if self._is_fixed:
            return
        if self._places.size == 0:
            self._places.resize(1)
        if self._growing is None:
            self._growing = self._call_later(self._scaling.target_wait, self._grow)

    def on_placed(self, used_slots: int) -> None:
        """A prediction got a slot: keep in mind how many are used."""
        self._peaks[-1] = max(self._peaks[-1], used_slots)

    def _grow(self) -> None:
        self._growing = None
        waited = self._demand.longest_wait
        if waited is None:
            return
        pause = self._scaling.target_wait - waited
        if pause <= 0:
            pause = self._scaling.target_wait
            coming = self._count_coming() * self._demand.slots_per_worker
            if coming < self._demand.queue_length and self._places.are_filled:
                self._places.resize(self._places.size + 1)
        self._growing = self._call_later(pause, self._grow)

    def _shrink(self) -> None:
        self._shrinking = self._call_later(self._scaling.idle_timeout / _LOOKS_PER_TIMEOUT, self._shrink)
        needed = max(self._least, math.ceil(max(self._peaks) / self._demand.slots_per_worker))
        if self._demand.queue_length or self._count_coming() or self._crew.setups.failure is not None:
            # What is wanted so much that it is being started, or tried again, has its whole time from then on.
            self._peaks.clear()
        elif len(self._peaks) == _LOOKS_PER_TIMEOUT and needed < self._places.size:
            self._places.resize(needed)
        self._peaks.append(self._demand.used_slots)

    def _count_coming(self) -> int:
        return sum(worker.state in (WorkerState.STARTING, WorkerState.LOADED) for worker in self._crew.workers)

    def _call_later(self, seconds: float, function: Callable[[], None]) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(seconds, function, context=contextvars.Context())
