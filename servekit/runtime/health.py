"""Asks workers whether they are well."""

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from servekit.runtime.handle import WorkerHandle
from servekit.runtime.protocol import Health, HealthCheck

__all__ = ["HealthChecks"]

_MARGIN_SECONDS = 1.0
"""A worker keeps the time limit itself; only one whose loop is held up cannot, and answers nothing."""


class HealthChecks:
    """Asks the workers, and keeps what the last round of questions came to.

    There is one round at a time, whoever asks. It goes on when nobody waits for it any more, and ends by the
    workers' answers, by their death, by their time limit, or with the task that it runs in.

    Args:
        timeout_seconds: How long the author's `healthcheck` may take.
        spawn: Runs a round in a task that ends with the crew; it runs nothing any more while that goes.
    """

    def __init__(self, timeout_seconds: float, spawn: Callable[[Coroutine[Any, Any, None]], None]) -> None:
        self._patience_seconds = timeout_seconds + _MARGIN_SECONDS
        self._spawn = spawn
        self._numbers = itertools.count(1)
        self._waiting: dict[int, tuple[WorkerHandle, asyncio.Future[str | None]]] = {}
        self._verdict: str | None = None
        self._settled = asyncio.Event()
        self._is_asking = False

    async def ask(self, workers: Iterable[WorkerHandle], patience_seconds: float) -> str | None:
        """Return the first complaint of workers that are asked at the same time, or None when all are well.

        Those that are known to be blocked are not asked: whoever wants to know would wait for them in vain.

        Args:
            workers: Who is asked, unless a round of questions is under way already.
            patience_seconds: How long to wait. When it is over, what the round before came to is returned.
        """
        if not self._is_asking:
            self._is_asking = True
            self._settled.clear()
            self._spawn(self._ask([worker for worker in workers if worker.pulse.hang is None]))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience_seconds):
                await self._settled.wait()
        return self._verdict

    def take(self, answer: Health) -> None:
        """Take a worker's answer; one that comes too late is dropped."""
        self._settle(answer.number, answer.error)

    def give_up(self, worker: WorkerHandle, reason: str) -> None:
        """Take note that a worker is gone; it answers no more."""
        for number, (asked, _) in list(self._waiting.items()):
            if asked is worker:
                self._settle(number, f"worker {worker.number} is gone: {reason}")

    async def _ask(self, workers: list[WorkerHandle]) -> None:
        try:
            complaints = await asyncio.gather(*(self._ask_one(worker) for worker in workers))
            self._verdict = next((complaint for complaint in complaints if complaint is not None), None)
        finally:
            self._is_asking = False
            self._settled.set()

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
