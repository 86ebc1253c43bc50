"""What moves the rows of a batch job, on one event loop.

There is no task for a row: what ends calls back, and the next row begins in the same turn. A row that was
taken in is in one of these places until the consumer has its result, and the window bounds how many there are:

    running <-> waiting for its next attempt -> over
"""

import asyncio
import contextvars
from collections import deque
from collections.abc import AsyncIterable, Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Literal

import msgspec

from servekit.jobs.flow import Flow
from servekit.jobs.intake import Intake
from servekit.jobs.options import AttemptError, JobOptions
from servekit.jobs.rows import FailureKind, Outcome, Row, RowResult
from servekit.jobs.tally import Tally
from servekit.jobs.target import Cancel, Target
from servekit.jobs.window import Job, Window

__all__ = ["BatchState", "Engine"]


@dataclass(frozen=True, slots=True)
class BatchState:
    """What a job does at the moment.

    Attributes:
        running: Attempts that run.
        limit: How many may run.
        retrying: Rows that wait for their next attempt.
        held: Rows that were begun and whose results were not taken, these two included.
        paused: Why no row is begun although there is a slot: "memory", or "rate"; None if nothing holds them up.
        memory_bytes: The memory in use, where it is limited.
    """

    running: int = 0
    limit: int = 0
    retrying: int = 0
    held: int = 0
    paused: Literal["memory", "rate"] | None = None
    memory_bytes: int | None = None


class Engine:
    """Runs the rows of one job on an open target. Made on the loop that it belongs to.

    Args:
        target: What runs them.
        rows: Rows, or the inputs of each by name.
        options: How.
        tally: Counts what ends.
        clock: A monotonic clock, in seconds.
        context: In which attempts begin.
    """

    def __init__(
        self,
        target: Target,
        rows: Iterable[Any] | AsyncIterable[Any],
        options: JobOptions,
        tally: Tally,
        clock: Callable[[], float],
        context: contextvars.Context,
    ) -> None:
        self._target = target
        self._tally = tally
        self._clock = clock
        self._context = context
        self._timeout = options.timeout
        self._policy = options.policy()
        self._loop = asyncio.get_running_loop()
        self._flow = Flow(target, options, self._begin_more, clock)
        self._intake = Intake(rows, self._on_rows)
        self._window = Window(ordered=options.ordered)
        self._cancels: dict[Job, Cancel] = {}  # of the attempts that run
        self._pauses: dict[Job, asyncio.TimerHandle] = {}  # of the rows that wait for their next attempt
        self._due: deque[Job] = deque()  # those that have waited for it
        self._rate_timer: asyncio.TimerHandle | None = None
        self._lacks_room = False  # for a row that could begin else
        self._is_beginning = False
        self._is_stopped = False
        self._fault: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None

    @property
    def state(self) -> BatchState:
        """What it does at the moment."""
        flow = self._flow
        return BatchState(
            running=flow.running,
            limit=flow.limit,
            retrying=len(self._pauses) + len(self._due),
            held=len(self._window),
            paused="memory" if flow.is_short_of_memory else "rate" if self._rate_timer is not None else None,
            memory_bytes=None if flow.memory is None else flow.memory.used_bytes,
        )

    async def start(self) -> None:
        """Begin to read rows and to run them; after this `stop` must be called, also when it raises."""
        await self._flow.open()
        self._intake.start()

    async def next_result(self) -> RowResult | None:
        """Wait for the next result; None when all rows are over.

        Raises:
            Exception: What reading the rows raised, after the results of the rows before.
        """
        if self._lacks_room:
            self._begin_more()
        while not self._window.has_result:
            if self._fault is not None:
                raise self._fault
            if self._is_over:
                if self._intake.error is not None:
                    raise self._intake.error
                return None
            self._waiter = self._loop.create_future()
            await self._waiter
        return self._window.take()

    def drain(self) -> None:
        """Begin no further rows; those that were begun come to their end, with all their attempts."""
        self._intake.drain()

    async def stop(self) -> None:
        """Begin nothing any more, cancel what runs, and wait until it has ended."""
        self._is_stopped = True
        for timer in (*self._pauses.values(), self._rate_timer):
            if timer is not None:
                timer.cancel()
        for cancel in list(self._cancels.values()):
            cancel()
        try:
            await self._intake.close()
            async with asyncio.timeout(_STOP_SECONDS):
                while self._cancels:
                    self._waiter = self._loop.create_future()
                    await self._waiter
        except TimeoutError:
            pass  # whoever closes the target ends them
        finally:
            await self._flow.close()

    @property
    def _is_over(self) -> bool:
        return not self._window and self._intake.is_exhausted

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # ------------------------------------------------------------------ beginning

    def _on_rows(self) -> None:
        self._begin_more()
        if self._intake.is_exhausted:
            self._wake()

    def _begin_more(self) -> None:
        """Begin as many attempts as may run now."""
        if self._is_beginning or self._is_stopped:
            return
        self._is_beginning = True
        try:
            self._flow.look()
            while self._flow.has_slot:
                job = self._next_job()
                if job is None:
                    break
                self._begin(job)
        except Exception as error:  # noqa: BLE001 - this runs in callbacks; it ends the iteration, where it is seen
            self._fault = error
            self._wake()
        finally:
            self._is_beginning = False

    def _next_job(self) -> Job | None:
        if self._due:
            return None if self._must_wait(self._due[0].row) else self._due.popleft()
        intake = self._intake
        while intake.has_rows:
            self._lacks_room = not self._window.has_room(self._flow.limit)
            if self._lacks_room:
                return None
            row = intake.peek()
            if row.fault is None and self._must_wait(row):
                return None
            job = Job(intake.take())
            self._window.enter(job)
            if row.fault is None:
                return job
            self._finish(job, Outcome.failure(row.fault_kind, row.fault), 0.0)
        return None

    def _must_wait(self, row: Row) -> bool:
        delay = self._flow.delay(row)
        if delay > 0.0 and self._rate_timer is None:
            self._rate_timer = self._loop.call_later(max(delay, _LEAST_SECONDS), self._on_rate)
        return delay > 0.0

    def _on_rate(self) -> None:
        self._rate_timer = None
        self._begin_more()

    def _begin(self, job: Job) -> None:
        self._flow.begin(job)
        left = None
        if self._timeout is not None:
            left = max(_LEAST_SECONDS, job.began + self._timeout - job.began_attempt)
        self._cancels[job] = _do_nothing
        cancel = self._context.run(self._target.start, job.row, left, partial(self._on_end, job))
        if job in self._cancels:  # it may have ended already
            self._cancels[job] = cancel

    # ------------------------------------------------------------------ ends

    def _on_end(self, job: Job, outcome: Outcome) -> None:
        """Take in the end of an attempt, and use its slot before anything else: whoever gave it waits for work."""
        del self._cancels[job]
        now = self._flow.end(job, outcome)
        if self._is_stopped:
            if not self._cancels:
                self._wake()
            return
        self._begin_more()
        if outcome.is_success:
            self._finish(job, outcome, now - job.began)
        else:
            self._retry_or_finish(job, outcome, now)

    def _retry_or_finish(self, job: Job, outcome: Outcome, now: float) -> None:
        taken = now - job.began
        pause = self._policy.pause_after(AttemptError(outcome), job.attempts)
        if self._timeout is not None:
            if outcome.kind is FailureKind.TIMEOUT and taken >= _ALMOST * self._timeout:
                outcome = self._overdue(outcome, f"{job.attempts} attempt{'s' * (job.attempts > 1)} included")
                pause = None
            elif pause is not None and taken + pause >= self._timeout:
                outcome = self._overdue(outcome, f"and no time was left for another attempt after: {outcome.error}")
                pause = None
        if pause is None:
            self._finish(job, outcome, taken)
        else:
            self._pauses[job] = self._loop.call_later(pause, self._on_pause_over, job)

    def _overdue(self, outcome: Outcome, what: str) -> Outcome:
        error = f"timed out: the row may take {self._timeout:g} seconds, {what}"
        return msgspec.structs.replace(outcome, error=error, kind=FailureKind.TIMEOUT)

    def _on_pause_over(self, job: Job) -> None:
        del self._pauses[job]
        self._due.append(job)
        self._begin_more()

    def _finish(self, job: Job, outcome: Outcome, seconds: float) -> None:
        result = RowResult(job.row, outcome, job.attempts, seconds)
        self._tally.add(result)
        self._window.end(job, result)
        if self._window.has_result:
            self._wake()


def _do_nothing() -> None:
    """Stand for the cancel of an attempt that is just being started."""


_STOP_SECONDS: Final = 60.0
"""How long canceled attempts are waited for. Targets have shorter times for that; this is the bound for all."""

_LEAST_SECONDS: Final = 0.001
"""What an attempt gets whose row has no time left; and the shortest pause, or rounding may make it turn in place."""

_ALMOST: Final = 0.95
"""What part of its time a row must have taken for a timeout to be this one: the target has a clock of its own."""
