"""The course of one call of `parallel`: what runs, what failed, what is tried again, what ends it.

It never waits: a driver has it `look` whenever there is news or the clock says so, and `start` what it can, and waits
in its own way in between. So each rule is written once, for threads and event loops alike.

An item that was taken from the input holds one of `max_concurrency` places until it has its outcome *and* its call
has returned: while it runs, while it pauses before another try, and also when it was given up for its timeout and its
thread goes on. Two calls for one item never run at once.
"""

import asyncio
import functools
import math
import queue
import time
from collections.abc import Callable, Iterable
from concurrent import futures
from typing import Any, Final

from servekit.errors import ParallelError
from servekit.threads.attempts import Attempt
from servekit.threads.plan import Plan
from servekit.threads.progress import Progress
from servekit.threads.starters import Starter
from servekit.threads.verdicts import (
    describe_left,
    describe_stop,
    fill_results,
    item_timed_out,
    places_are_held,
    too_many_failed,
)

__all__ = ["MOMENT_SECONDS", "Course"]

MOMENT_SECONDS: Final = 0.5
"""How long what was told to stop may take when nobody wants to wait; by feel."""

_STUCK_SECONDS: Final = 60.0
"""How long all places may be held by calls that timed out, before the call gives up; by feel."""

_CANCELED: Final = (asyncio.CancelledError, futures.CancelledError)


class _Item:
    """An item that was taken from the input."""

    __slots__ = ("attempt", "due", "error", "failures", "index", "is_expired", "value")

    def __init__(self, index: int, value: Any) -> None:
        self.index = index
        self.value = value
        self.failures = 0
        self.attempt: Attempt | None = None
        self.due = math.inf  # when the clock ends its try, or its pause
        self.is_expired = False  # its try was cancelled because its time was up
        self.error: BaseException | None = None  # there while it pauses: what its last try failed with


class Course:
    """See above. Everything here is called by one thread or task, except what attempts tell.

    Args:
        fn: The function.
        items: The input.
        plan: How to work.
        starter: Where attempts run.
        wake: Called from any thread when there is news.

    Attributes:
        news: Attempts that began or ended.
        outcomes: By their place in the input: results and exceptions that were not taken yet.
        failure: What ends the call early, or None.
        is_stopped: Whether nothing is started any more.
        started: How many items were taken from the input.
        progress: The counts.
    """

    def __init__(
        self, fn: Callable[[Any], Any], items: Iterable[Any], plan: Plan, starter: Starter, wake: Callable[[], object]
    ) -> None:
        self.news: queue.SimpleQueue[Attempt] = queue.SimpleQueue()  # all in C: nothing can strike inside and break it
        self.outcomes: dict[int, Any] = {}
        self.failure: BaseException | None = None
        self._is_own_failure = False  # it is no error of an item or of the input
        self.is_stopped = False
        self.started = 0
        self.progress = Progress(plan)
        self._fn = fn
        self._intake = iter(items)
        self._plan = plan
        self._starter = starter
        self._wake = wake
        self._open: dict[int, _Item] = {}
        self._left: dict[int, _Item] = {}  # they have their outcome, but their calls go on
        self._cut: list[int] = []  # items that were stopped before they had an outcome
        self._read_ahead: list[_Item] = []
        self._is_exhausted = False
        self._next_due = math.inf
        self._stuck_at = math.inf

    # ------------------------------------------------------------------ for the driver

    @property
    def is_over(self) -> bool:
        """Whether every item that counts has its outcome."""
        return not self._open and (self.is_stopped or self._is_exhausted)

    @property
    def still_running(self) -> int:
        """How many calls have not returned."""
        return len(self._left) + sum(_is_running(item) for item in self._open.values())

    def look(self) -> None:
        """Take note of all that happened."""
        self._hear_news()
        self._look_at_clock()

    def start(self) -> None:
        """Start all that may be started."""
        while not self.is_stopped and not self._is_exhausted and self._has_room():
            self._start_next()
        if not self.is_stopped and not self._is_exhausted and not self._open:
            self._look_if_stuck()

    def seconds_to_next(self) -> float:
        """Return after how many seconds `look` has something to do without any news; it may be infinite."""
        return max(0.0, min(self._next_due, self._stuck_at) - time.monotonic())

    def stop(self) -> None:
        """Start nothing any more, and stop what runs as far as possible."""
        self.is_stopped = True
        self._stuck_at = math.inf
        for item in list(self._open.values()):
            if item.attempt is not None and not item.attempt.is_ended:
                self._starter.cancel(item.attempt)
            if item.error is not None or item.attempt is None:  # it pauses, or was about to begin
                self._drop(item)

    def hear(self, attempt: Attempt) -> None:
        """Take note of one piece of news; the same may be heard twice."""
        if attempt.is_ended:
            self._left.pop(attempt.index, None)
        item = self._open.get(attempt.index)
        if item is None or item.attempt is not attempt:
            return
        if attempt.is_ended:
            self._judge(item, attempt)
        elif item.error is None and not item.is_expired and attempt.began_at is not None:
            assert self._plan.timeout is not None
            self._set_due(item, attempt.began_at + self._plan.timeout)

    def hear_late(self) -> None:
        """Find what has ended also where the news of it was lost, because something struck this thread."""
        for item in [*self._open.values(), *self._left.values()]:
            if item.attempt is not None and item.attempt.is_ended:
                self.hear(item.attempt)

    def tell(self, attempt: Attempt) -> None:
        """Take news of an attempt, from wherever it runs."""
        if attempt.is_ended or self._plan.timeout is not None:
            self.news.put(attempt)
            self._wake()

    # ------------------------------------------------------------------ news and clock

    def _hear_news(self) -> None:
        while True:
            try:
                attempt = self.news.get_nowait()
            except queue.Empty:
                return
            self.hear(attempt)

    def _judge(self, item: _Item, attempt: Attempt) -> None:
        error = attempt.error
        if error is None:
            self._settle(item, attempt.result, is_failed=False)
        elif item.error is not None:
            return  # it timed out, and pauses; that its call has ended by now allows the next one
        elif isinstance(error, _CANCELED) and item.is_expired:
            self._fail(item, item_timed_out(self._plan))
        elif isinstance(error, _CANCELED):  # by `stop`, or from outside
            self._drop(item)
            self._end(error)
        else:
            self._fail(item, error)

    def _set_due(self, item: _Item, due: float) -> None:
        item.due = due
        self._next_due = min(self._next_due, due)

    def _look_at_clock(self) -> None:
        now = time.monotonic()
        if now >= self._next_due:
            for item in list(self._open.values()):
                if now >= item.due:
                    item.due = math.inf
                    self._come_due(item, now)
            self._next_due = min((item.due for item in self._open.values()), default=math.inf)
        if now >= self._stuck_at:
            self._end(places_are_held(self._plan, _STUCK_SECONDS), is_own=True)

    def _come_due(self, item: _Item, now: float) -> None:
        if item.error is not None and not _is_running(item):
            self._start(item)
        elif item.error is not None:
            item.error.add_note("It was not tried again, because the call that timed out still runs in its thread.")
            self._settle(item, item.error, is_failed=True)
        elif not item.is_expired and item.attempt is not None and self._starter.cancel(item.attempt):
            item.is_expired = True
            self._set_due(item, now + MOMENT_SECONDS)
        else:
            self._fail(item, item_timed_out(self._plan))

    # ------------------------------------------------------------------ starting

    def _has_room(self) -> bool:
        return len(self._open) + len(self._left) + len(self.outcomes) < self._plan.max_concurrency

    def _look_if_stuck(self) -> None:
        """Give up after a while when calls that timed out hold all places, and there are more items."""
        if len(self._left) < self._plan.max_concurrency:
            self._stuck_at = math.inf
        elif self._stuck_at == math.inf:
            # Only here an item is taken before there is a place for it: to see whether all has been done.
            item = self._read()
            if item is not None:
                self._read_ahead.append(item)
                self._stuck_at = time.monotonic() + _STUCK_SECONDS

    def _start_next(self) -> None:
        item = self._read_ahead.pop() if self._read_ahead else self._read()
        if item is not None:
            self._stuck_at = math.inf
            self._open[item.index] = item
            self._start(item)

    def _read(self) -> _Item | None:
        try:
            value = next(self._intake)
        except StopIteration:
            self._is_exhausted = True
            return None
        except Exception as error:  # noqa: BLE001 - an error of the input ends the call as one of an item does
            self._end(error)
            return None
        self.started += 1
        return _Item(self.started - 1, value)

    def _start(self, item: _Item) -> None:
        item.error, item.is_expired = None, False
        call = functools.partial(self._fn, item.value)
        item.attempt = Attempt(item.index, call, self._plan.context.copy(), self.tell)
        try:
            self._starter.start(item.attempt)
        except Exception as error:  # noqa: BLE001 - an executor that was shut down; the call ends with it
            item.attempt = None
            self._drop(item)
            self._end(error)
        except BaseException:  # something struck this thread, so nobody knows whether the attempt is on its way
            item.attempt.is_dropped = True
            item.attempt.end_unrun()
            raise

    # ------------------------------------------------------------------ outcomes

    def _fail(self, item: _Item, error: BaseException) -> None:
        item.failures += 1
        pause = self._choose_pause(error, item.failures)
        if pause is None:
            self._settle(item, error, is_failed=True)
        else:
            item.error = error
            self._set_due(item, time.monotonic() + pause)

    def _choose_pause(self, error: BaseException, failures: int) -> float | None:
        if self._plan.retries is None or self.is_stopped:
            return None
        try:
            return self._plan.retries.pause_after(error, failures)
        except Exception as fault:  # noqa: BLE001 - of the user's function that tells what to retry
            self._end(fault)
            return None

    def _settle(self, item: _Item, outcome: Any, *, is_failed: bool) -> None:
        self._leave_open(item)
        self.outcomes[item.index] = outcome
        if is_failed:
            self._look_if_failed(outcome)
        self.progress.count(is_failed=is_failed)

    def _drop(self, item: _Item) -> None:
        self._cut.append(item.index)
        self._leave_open(item)

    def _leave_open(self, item: _Item) -> None:
        del self._open[item.index]
        if _is_running(item):
            self._left[item.index] = item

    def _look_if_failed(self, error: BaseException) -> None:
        failed = self.progress.failed + 1
        if not (self._plan.collect_errors and isinstance(error, Exception)):
            self._end(error)
        elif self._plan.max_errors is not None and failed >= self._plan.max_errors:
            self._end(too_many_failed(self._plan, failed, error), is_own=True)

    def _end(self, failure: BaseException, *, is_own: bool = False) -> None:
        if not self.is_stopped:
            self.failure = failure
            self._is_own_failure = is_own
            self.stop()

    # ------------------------------------------------------------------ the end

    def describe(self) -> str:
        """Say what has become of the items of a call that was stopped."""
        return describe_stop(self._plan, self.progress, self.started, self.still_running)

    def describe_left(self) -> str:
        """Say what runs on though the call has ended."""
        return describe_left(self._plan, self.still_running)

    def fill(self, failure: BaseException, outcomes: dict[int, Any]) -> None:
        """Add to the failure what has become of the items."""
        if self.still_running:
            failure.add_note(self.describe())
        if self._is_own_failure and isinstance(failure, ParallelError):
            cut = [*self._cut, *(item.index for item in self._read_ahead)]
            fill_results(failure, self._plan, self.progress, outcomes, cut, self.started)


def _is_running(item: _Item) -> bool:
    return item.attempt is not None and not item.attempt.is_ended
