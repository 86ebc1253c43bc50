"""The replacement of workers that are old, have grown, or have done enough."""

import asyncio
import contextvars

from servekit.errors import SetupError
from servekit.runtime.crew import Crew
from servekit.runtime.handle import WorkerHandle, WorkerState
from servekit.runtime.memory import measure_tree
from servekit.spec import RecycleSpec
from servekit.spec.units import format_duration, format_size

__all__ = ["Recycler"]

_PERIOD_SECONDS = 1.0
"""How often workers are looked at; memory is read from the system, which takes some milliseconds in a thread."""


class Recycler:
    """Looks after the workers, and has those replaced that are past one of the limits.

    Args:
        limits: From when on a worker is replaced.
        crew: The workers.
    """

    def __init__(self, limits: RecycleSpec, crew: Crew) -> None:
        self._limits = limits
        self._crew = crew
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look after them, if there are limits."""
        if self._limits != RecycleSpec():
            self._task = asyncio.get_running_loop().create_task(self._run(), context=contextvars.Context())

    def close(self) -> None:
        """Replace nothing any more."""
        if self._task is not None:
            self._task.cancel()

    def look_at(self, worker: WorkerHandle, size: int = 0) -> None:
        """Have a worker replaced if it is past a limit; `size` is how many bytes it takes."""
        reason = self._find_reason(worker, size)
        if reason is not None:
            self._crew.replace(worker, reason)

    def find_misfit(self, worker: WorkerHandle) -> SetupError | None:
        """Return the error that a worker is past the memory limit before its first prediction, or None.

        It would be replaced for ever by others of its size.
        """
        limit = self._limits.memory_limit
        if limit is None or worker.pid is None:
            return None
        size = measure_tree(worker.pid)  # here and now: what may be refused must not be used meanwhile
        if size <= limit:
            return None
        return SetupError(
            f"serve.recycle.memory_limit is {format_size(limit)}, and a worker takes {size / 1e6:.0f} MB "
            "when setup is over; raise it well above that"
        )

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_PERIOD_SECONDS)
            for worker in [each for each in self._crew.workers if each.state is WorkerState.READY]:
                self.look_at(worker, await self._measure(worker))

    async def _measure(self, worker: WorkerHandle) -> int:
        if self._limits.memory_limit is None or worker.pid is None:
            return 0
        return await asyncio.to_thread(measure_tree, worker.pid)

    def _find_reason(self, worker: WorkerHandle, size: int) -> str | None:
        limits = self._limits
        if limits.max_predictions is not None and worker.completed >= limits.max_predictions:
            return f"it has run {worker.completed} predictions (serve.recycle.max_predictions)"
        if limits.memory_limit is not None and size > limits.memory_limit:
            limit = format_size(limits.memory_limit)
            return f"it takes {size / 1e6:.0f} MB of memory, more than {limit} (serve.recycle.memory_limit)"
        age = asyncio.get_running_loop().time() - worker.started_at
        if limits.max_age is not None and age > limits.max_age:
            return f"it is older than {format_duration(limits.max_age)} (serve.recycle.max_age)"
        return None
