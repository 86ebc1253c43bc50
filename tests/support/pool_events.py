"""What happens in a pool, to be awaited by tests."""

import asyncio
from collections.abc import Callable

from servekit.errors import ServekitError
from servekit.runtime.handle import WorkerHandle
from servekit.runtime.observer import PoolObserver

__all__ = ["PoolEvents"]

_DEADLINE_SECONDS = 30.0


class PoolEvents(PoolObserver):
    """Keeps what happened to workers, in order.

    Attributes:
        ready: The numbers of workers that became ready.
        gone: The numbers of workers that are gone.
        outdated: Why workers were to be replaced, by their number.
        failures: Why workers could not be made ready.
    """

    def __init__(self) -> None:
        self.ready: list[int] = []
        self.gone: list[int] = []
        self.outdated: dict[int, str] = {}
        self.failures: list[ServekitError] = []
        self._changed = asyncio.Event()

    def worker_ready(self, worker: WorkerHandle) -> None:
        self.ready.append(worker.number)
        self._changed.set()

    def worker_gone(self, worker: WorkerHandle, reason: str) -> None:
        del reason
        self.gone.append(worker.number)
        self._changed.set()

    def worker_outdated(self, worker: WorkerHandle, reason: str) -> None:
        self.outdated[worker.number] = reason
        self._changed.set()

    def setup_failed(self, error: ServekitError, retry_seconds: float) -> None:
        del retry_seconds
        self.failures.append(error)
        self._changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something has happened."""
        async with asyncio.timeout(_DEADLINE_SECONDS):
            while not condition():
                self._changed.clear()
                await self._changed.wait()
