"""When the next attempt may begin: slots, rates, memory, and what a server has asked for."""

import math
from collections.abc import Callable
from typing import Final

from servekit.jobs.limit import AdaptiveLimit
from servekit.jobs.memory import MemoryGate
from servekit.jobs.options import JobOptions
from servekit.jobs.pacing import Pacer, parse_rate
from servekit.jobs.rows import FailureKind, Outcome, Row
from servekit.jobs.target import Target
from servekit.jobs.window import Job

__all__ = ["Flow"]


class Flow:
    """Lets attempts begin.

    Args:
        target: What runs them.
        options: The job's limits.
        on_open: Called on the loop when something is let through again.
        clock: A monotonic clock, in seconds.

    Attributes:
        running: How many attempts run.
        limit: How many may run, at least 1, as it was when last looked at.
        memory: The ceiling for memory, if there is one.
    """

    def __init__(
        self, target: Target, options: JobOptions, on_open: Callable[[], None], clock: Callable[[], float]
    ) -> None:
        self.running = 0
        self.limit = 1 if options.concurrency == "auto" else options.concurrency
        self.memory = None if options.memory_limit is None else MemoryGate(options.memory_limit, on_open)
        self._target = target
        self._fixed = math.inf if options.concurrency == "auto" else options.concurrency
        self._adaptive = AdaptiveLimit() if options.concurrency == "auto" else None
        self._clock = clock
        self._held_until = -math.inf
        self._pacer = Pacer(
            None if options.rate is None else parse_rate(options.rate),
            None if options.token_rate is None else parse_rate(options.token_rate),
            options.tokens,
            clock(),
        )
        self._ignore_slots = target.listen(on_open)

    async def open(self) -> None:
        """Begin to look at the memory."""
        if self.memory is not None:
            await self.memory.start()

    async def close(self) -> None:
        """Look no longer."""
        self._ignore_slots()
        if self.memory is not None:
            await self.memory.close()

    def look(self) -> None:
        """See how many attempts may run as things are; before `has_slot`."""
        slots = self._target.slots
        if slots is not None:
            self.limit = max(1, int(min(slots, self._fixed)))
        elif self._adaptive is not None:
            self.limit = self._adaptive.current

    @property
    def is_short_of_memory(self) -> bool:
        """Whether nothing more begins before memory falls; one attempt may run all the same."""
        return self.memory is not None and self.memory.is_shut

    @property
    def has_slot(self) -> bool:
        """Whether there is a slot, and memory, for one more attempt."""
        return self.running < self.limit and not (self.running and self.is_short_of_memory)

    def delay(self, row: Row) -> float:
        """Return in how many seconds an attempt at this row may begin."""
        if self._pacer.is_idle and self._held_until < 0:
            return 0.0
        now = self._clock()
        return max(self._held_until - now, self._pacer.delay(now, row), 0.0)

    def begin(self, job: Job) -> None:
        """An attempt begins."""
        self.running += 1
        job.attempts += 1
        job.began_attempt = self._clock()
        if job.attempts == 1:
            job.began = job.began_attempt
        job.charged = self._pacer.begin(job.began_attempt, job.row)

    def end(self, job: Job, outcome: Outcome) -> float:
        """An attempt has ended; return the time."""
        now = self._clock()
        self._pacer.end(now, job.charged, outcome)
        if self._target.slots is None:
            self._learn(now, now - job.began_attempt, outcome)
        self.running -= 1
        return now

    def _learn(self, now: float, seconds: float, outcome: Outcome) -> None:
        is_refusal = outcome.kind is FailureKind.BUSY
        if is_refusal and outcome.retry_after:
            # One has been told to wait: the others would be told the same, and use up their retries.
            self._held_until = max(self._held_until, now + min(outcome.retry_after, _LONGEST_HOLD_SECONDS))
        if self._adaptive is None:
            return
        if is_refusal:
            self._adaptive.refuse(now, seconds, self.running)
        elif outcome.is_success:
            self._adaptive.record(now, seconds, self.running)


_LONGEST_HOLD_SECONDS: Final = 60.0
"""How long a server can make a job wait before it is asked again."""
