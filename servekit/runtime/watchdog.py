"""Asks the workers at an interval whether they answer, reports those that do not, and ends them if told to.

A worker that is blocked cannot say so itself: a call into C holds the interpreter's lock, an `async def`
computes, the process is stopped or waits for a disk that is gone. So it is asked, and its silence counts.
"""

import asyncio
import contextlib
import contextvars
import time
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Protocol

from servekit.runtime.death import DeathCause
from servekit.runtime.handle import WorkerHandle, WorkerState
from servekit.runtime.observer import PoolObserver
from servekit.runtime.pulse import Hang

__all__ = ["WatchEvents", "Watchdog"]

_REPORT_SECONDS = 5.0
"""Silence after which a worker counts as blocked. A pass of the garbage collector over a large heap, a page-in after
swapping or a compilation with the lock held takes up to a few seconds and is no fault; who looks because nothing
moves looks later."""

_TURN_SECONDS = 1.0
"""How often workers are asked; a question and its answer cost both sides some 50 us."""

_STACK_SECONDS = 2.0
"""How long a blocked process may take to write its stacks; it does so within milliseconds, or not at all."""


class WatchEvents(Protocol):
    """What a watchdog tells who knows of predictions; an observer has been told before."""

    def on_worker_unblocked(self) -> None:
        """A worker answers again."""

    def on_worker_given_up(self, worker: WorkerHandle, reason: str) -> None:
        """It has not answered for too long and is killed next."""


class Watchdog:
    """Watches the ready workers of a pool.

    Args:
        workers: Gives all of them.
        events: Who decides what a hang means for predictions.
        observer: Is told of hangs.
        hang_timeout: How many seconds a worker may be blocked before it is killed, or None for any time.
    """

    def __init__(
        self,
        workers: Callable[[], Iterable[WorkerHandle]],
        events: WatchEvents,
        observer: PoolObserver,
        hang_timeout: float | None,
    ) -> None:
        self._workers = workers
        self._events = events
        self._observer = observer
        self._hang_timeout = hang_timeout
        # A worker that is killed for a hang is reported before: there is still time to take its stack then.
        self._report_seconds = _REPORT_SECONDS if hang_timeout is None else min(_REPORT_SECONDS, hang_timeout / 2)
        self._turn_seconds = min(_TURN_SECONDS, self._report_seconds / 4)
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin to watch."""
        self._spawn(self._watch())

    async def close(self) -> None:
        """Watch no more."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self) -> None:
        while True:
            for worker in list(self._workers()):
                if worker.state is WorkerState.READY:
                    self._look_at(worker)
            await asyncio.sleep(self._turn_seconds)

    def _look_at(self, worker: WorkerHandle) -> None:
        pulse = worker.pulse
        question = pulse.next_question()
        if question is not None:
            worker.send(question)
        seconds, where = pulse.silence(self._turn_seconds)
        hang = pulse.hang
        if seconds < self._report_seconds:
            if hang is not None and hang.is_reported and not hang.is_final:
                pulse.hang = None
                self._observer.worker_unblocked(worker, hang)
                self._events.on_worker_unblocked()
            return
        if hang is None:
            hang = pulse.hang = Hang(where, time.time() - seconds, time.monotonic() - seconds)
            self._spawn(self._report(worker, hang))
        if self._hang_timeout is not None and seconds >= self._hang_timeout and not hang.is_final:
            self._give_up(worker, hang, self._hang_timeout)

    async def _report(self, worker: WorkerHandle, hang: Hang) -> None:
        with contextlib.suppress(OSError):  # it is gone: its death is told as such
            hang.stack = await worker.read_stack(min(_STACK_SECONDS, self._report_seconds))
        self._observer.worker_blocked(worker, hang)
        hang.is_reported = True

    def _give_up(self, worker: WorkerHandle, hang: Hang, limit: float) -> None:
        hang.is_final = True
        reason = (
            f"the worker was blocked and has been replaced: {hang.describe()} (serve.hang_timeout is {limit:g} s). "
            "The server's log shows where it was. Await what takes long in async code, let native code "
            "release the GIL, or raise serve.hang_timeout"
        )
        self._events.on_worker_given_up(worker, reason)
        worker.kill(DeathCause.HANG, reason=reason)

    def _spawn(self, body: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(body, context=contextvars.Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
