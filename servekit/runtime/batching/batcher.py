"""The batches of a worker: who waits, who runs, and when the next one begins."""

import asyncio
import contextvars
import time
from collections.abc import Coroutine
from typing import Any, Final

from servekit.errors import CancelationError, NotReadyError
from servekit.runtime.assignment import Surroundings
from servekit.runtime.batching.arrivals import Arrivals
from servekit.runtime.batching.batch import Batch
from servekit.runtime.batching.curve import CostCurve
from servekit.runtime.batching.gathering import Gathering
from servekit.runtime.batching.member import Member
from servekit.runtime.batching.policy import BatchPolicy
from servekit.threads import ContextThreadPoolExecutor

__all__ = ["Batcher"]


class Batcher:
    """Gathers the predictions of one worker into batches; made and used on its loop.

    Args:
        worker: Whose predictions they are.
        policy: What batches may be.
        concurrency: How many run at once.
    """

    def __init__(self, worker: Surroundings, policy: BatchPolicy, concurrency: int) -> None:
        self._worker = worker
        self._policy = policy
        self._concurrency = concurrency
        self._curve = CostCurve()
        self._arrivals = Arrivals()
        self._gathering: Gathering[Member] = Gathering(policy, self._curve, self._arrivals)
        self._files = ContextThreadPoolExecutor(_FILE_THREADS, thread_name_prefix="batch-files")
        self._batches: dict[Member, Batch] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._running = 0
        self._stuck: set[Batch] = set()
        self._look: asyncio.Handle | None = None
        self._is_closed = False

    @property
    def has_free_run(self) -> bool:
        """Whether another batch could begin."""
        return self._running < self._concurrency

    def close(self) -> None:
        """Begin no more batches. Those that run go on, until their members are canceled."""
        self._is_closed = True
        if self._look is not None:
            self._look.cancel()
        self._files.shutdown(wait=False)

    # ------------------------------------------------------------------ MemberHome

    def receive(self, member: Member) -> None:
        """Take a prediction that has just come."""
        if self._worker.signature.uses_files:
            self._spawn(self._prepare_elsewhere(member))
            return
        try:
            member.prepare(self._policy)
        except BaseException as error:  # noqa: BLE001 - the border to the author's types, cost and key
            member.fail(error)
        else:
            self._admit(member)

    def withdraw(self, member: Member) -> None:
        """Let a prediction that was asked to stop go."""
        batch = self._batches.get(member)
        if batch is not None:
            batch.withdraw(member)
        elif self._gathering.remove(member):
            member.leave()
        # Else its files are being fetched, or its output is being written: it looks at its scope itself.

    def give_up(self, member: Member) -> None:
        """Take note that a prediction does not stop: if nothing else can run, nobody else is to wait for that."""
        batch = self._batches.get(member)
        if batch is not None:
            self._stuck.add(batch)
            self._begin_batches()

    # ------------------------------------------------------------------ inside

    async def _prepare_elsewhere(self, member: Member) -> None:
        """Prepare a prediction whose files have to be fetched first."""
        job = self._files.submit(_prepare, member, self._policy)
        error = await asyncio.wrap_future(job)
        if member.assignment.scope.cancelled:
            error = error or CancelationError()
        if error is not None:
            member.fail(error)
        else:
            self._admit(member)

    def _admit(self, member: Member) -> None:
        self._arrivals.arrive(time.perf_counter())
        self._gathering.add(member)
        # Not at once: those that came with it are to be in its batch.
        self._look_soon()

    def _look_soon(self, seconds: float = 0.0) -> None:
        if self._look is not None:
            self._look.cancel()
        loop = asyncio.get_running_loop()
        empty = contextvars.Context()
        if seconds > 0:
            self._look = loop.call_later(seconds, self._begin_batches, context=empty)
        else:
            self._look = loop.call_soon(self._begin_batches, context=empty)

    def _begin_batches(self) -> None:
        self._look = None
        if len(self._stuck) >= self._concurrency:
            self._end_waiting()
        while self.has_free_run and not self._is_closed:
            now = time.perf_counter()
            members = self._gathering.take(now)
            if not members:
                pause = self._gathering.pause(now)
                if pause is not None:
                    self._look_soon(pause)
                return
            self._begin(Batch(self._worker, members, self._files, self._curve.add))

    def _end_waiting(self) -> None:
        """Let nobody wait behind code that does not stop: the server replaces the worker when all others have ended."""
        for member in self._gathering.take_all():
            member.fail(NotReadyError(_BEHIND_STUCK.format(self._worker.settings.cancel_grace)))

    def _begin(self, batch: Batch) -> None:
        # Now, and not when the task begins: a cancel may come in between.
        for member in batch.members:
            self._batches[member] = batch
        self._running += 1
        self._spawn(self._run(batch))

    async def _run(self, batch: Batch) -> None:
        try:
            await batch.run()
        finally:
            for member in batch.members:
                del self._batches[member]
            self._stuck.discard(batch)
            self._running -= 1
            self._arrivals.end_batch(len(batch.members), time.perf_counter())
            self._begin_batches()

    def _spawn(self, body: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(body, context=contextvars.Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _prepare(member: Member, policy: BatchPolicy) -> BaseException | None:
    """Return an exception as a value: asyncio would let `SystemExit` end the loop."""
    try:
        member.prepare(policy)
    except BaseException as error:  # noqa: BLE001 - the border to the author's types, cost and key
        return error
    return None


_BEHIND_STUCK: Final = (
    "the batch before this one was canceled and its code did not stop within {:g} seconds (serve.cancel_grace), so the "
    "worker is replaced; send it again"
)

_FILE_THREADS: Final = 4
"""How many predictions' files are fetched, read or sent at once."""
