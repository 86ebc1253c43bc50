"""Asks workers whether they are well."""

import asyncio
import itertools
from collections.abc import Iterable

from servekit.runtime.handle import WorkerHandle
from servekit.runtime.protocol import Health, HealthCheck

__all__ = ["HealthChecks"]

_MARGIN_SECONDS = 1.0
"""A worker keeps the time limit itself; only one whose loop is held up cannot, and answers nothing."""


class HealthChecks:
    """The checks that are under way.

    Args:
        timeout_seconds: How long the author's `healthcheck` may take.
    """

    def __init__(self, timeout_seconds: float) -> None:
        self._patience_seconds = timeout_seconds + _MARGIN_SECONDS
        self._numbers = itertools.count(1)
        self._waiting: dict[int, tuple[WorkerHandle, asyncio.Future[str | None]]] = {}

    async def ask(self, workers: Iterable[WorkerHandle]) -> str | None:
        """Ask workers at the same time; return the first complaint, or None when all are well.

        Those that are known to be blocked are not asked: whoever wants to know would wait for them in vain.
        """
        complaints = await asyncio.gather(*(self._ask_one(worker) for worker in workers if worker.pulse.hang is None))
        return next((complaint for complaint in complaints if complaint is not None), None)

    def take(self, answer: Health) -> None:
        """Take a worker's answer; one that comes too late is dropped."""
        self._settle(answer.number, answer.error)

    def give_up(self, worker: WorkerHandle, reason: str) -> None:
        """Take note that a worker is gone; it answers no more."""
        for number, (asked, _) in list(self._waiting.items()):
            if asked is worker:
                self._settle(number, f"worker {worker.number} is gone: {reason}")

    async def _ask_one(self, worker: WorkerHandle) -> str | None:
        number = next(self._numbers)
        complaint: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._waiting[number] = worker, complaint
        worker.send(HealthCheck(number))
        try:
            return await asyncio.wait_for(complaint, self._patience_seconds)
        except TimeoutError:
            return f"worker {worker.number} does not answer; the model may hold up its event loop or the GIL"
        finally:
            del self._waiting[number]

    def _settle(self, number: int, complaint: str | None) -> None:
        if number in self._waiting and not self._waiting[number][1].done():
            self._waiting[number][1].set_result(complaint)
