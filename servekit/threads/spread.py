"""What drives a `Course`: one that waits in the calling thread, one that awaits on an event loop.

However a call ends, it first waits for what it started:

    all items have their outcome     for no one: the calls left are those that timed out
    an item failed, the input
    failed, the consumer left        for what runs, until it ends or times out
    Ctrl-C, CancelationError,
    a cancelled task                 for a moment

What then still runs cannot be stopped; the log says so, or a note in the error.
"""

import asyncio
import contextlib
import logging
import math
import queue
import time
from collections.abc import AsyncGenerator, Callable, Iterable
from concurrent.futures import Executor
from typing import Any, Final

from servekit.threads.context import is_async
from servekit.threads.course import MOMENT_SECONDS, Course
from servekit.threads.nesting import waiting_for_items
from servekit.threads.plan import Plan
from servekit.threads.starters import DaemonThreadStarter, ExecutorStarter, LoopThreadStarter, Starter, TaskStarter

__all__ = ["spread_in_thread", "spread_on_loop"]

_LOOK_FOR_INTERRUPT_EVERY: Final = 0.1
"""Seconds after which a wait in C is left for a moment, as only then a `CancelationError` can strike."""


def spread_in_thread(
    fn: Callable[[Any], Any], items: Iterable[Any], plan: Plan, executor: Executor | None
) -> list[Any]:
    """Call `fn` for every item, and wait in this thread."""
    outcomes: dict[int, Any] = {}
    with waiting_for_items(executor, plan.context):
        starter = LoopThreadStarter() if is_async(fn) else _make_thread_starter(plan, executor)
        course = Course(fn, items, plan, starter, _wake_nobody)
        try:
            _run(course, outcomes, math.inf)
        except BaseException as error:
            course.stop()
            course.hear_late()
            _run(course, outcomes, time.monotonic() + MOMENT_SECONDS)
            error.add_note(course.describe())
            raise
        finally:
            course.is_stopped = True
            try:
                starter.close()
            finally:
                starter.close()  # again: something may have struck in the first
            course.progress.close()
        if isinstance(starter, LoopThreadStarter) and not course.still_running:
            starter.join(MOMENT_SECONDS)
    _conclude(course, outcomes)
    return [outcomes[index] for index in sorted(outcomes)] if plan.ordered else list(outcomes.values())


def _run(course: Course, outcomes: dict[int, Any], until: float) -> None:
    """Go on until the course is over, or the clock says `until`."""
    while True:
        course.look()
        outcomes.update(course.outcomes)
        course.outcomes.clear()
        course.start()
        if course.is_over or time.monotonic() >= until:
            return
        with contextlib.suppress(queue.Empty):
            course.hear(course.news.get(timeout=min(_LOOK_FOR_INTERRUPT_EVERY, course.seconds_to_next())))


def _wake_nobody() -> None:
    """Who waits at the queue of the news needs no other sign."""


async def spread_on_loop(
    fn: Callable[[Any], Any], items: Iterable[Any], plan: Plan, executor: Executor | None
) -> AsyncGenerator[Any, None]:
    """Call `fn` for every item, and give the outcomes while others run."""
    with waiting_for_items(executor, plan.context):
        bell = _Bell()
        starter: Starter = TaskStarter() if is_async(fn) else _make_thread_starter(plan, executor)
        course = Course(fn, items, plan, starter, bell.ring if is_async(fn) else bell.ring_from_thread)
        given = 0
        try:
            while await _has_outcome(course, bell, given if plan.ordered else None):
                index = given if plan.ordered else next(iter(course.outcomes))
                given += 1
                yield course.outcomes.pop(index)
        except GeneratorExit:
            course.stop()
            await _drain(course, bell, math.inf)
            _tell_left(course)
            raise
        except BaseException as error:
            course.stop()
            await _drain(course, bell, time.monotonic() + MOMENT_SECONDS)
            error.add_note(course.describe())
            raise
        finally:
            course.is_stopped = True
            starter.close()
            course.progress.close()
    _conclude(course, course.outcomes)


async def _has_outcome(course: Course, bell: "_Bell", index: int | None) -> bool:
    """Wait for the outcome of an item, or of any, and return whether there is one before the course is over."""
    while True:
        course.look()
        course.start()
        if course.failure is None and (course.outcomes if index is None else index in course.outcomes):
            return True
        if course.is_over:
            return False
        await bell.wait(course.seconds_to_next())


async def _drain(course: Course, bell: "_Bell", until: float) -> None:
    """Wait for the end of what runs, until the clock says `until`."""
    while True:
        course.look()
        if course.is_over or time.monotonic() >= until:
            return
        await bell.wait(min(course.seconds_to_next(), until - time.monotonic()))


class _Bell:
    """Wakes the task that waits on this event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """To be called on the loop."""
        self._rung.set()

    def ring_from_thread(self) -> None:
        """To be called from anywhere."""
        with contextlib.suppress(RuntimeError):  # the loop was closed; nobody waits any more
            self._loop.call_soon_threadsafe(self._rung.set)

    async def wait(self, seconds: float) -> None:
        """Wait until it has been rung since the last wait, or so many seconds have passed."""
        timer = None if seconds == math.inf else self._loop.call_later(seconds, self._rung.set)
        try:
            await self._rung.wait()
        finally:
            self._rung.clear()
            if timer is not None:
                timer.cancel()


def _make_thread_starter(plan: Plan, executor: Executor | None) -> Starter:
    return DaemonThreadStarter(plan.max_concurrency) if executor is None else ExecutorStarter(executor)


def _conclude(course: Course, outcomes: dict[int, Any]) -> None:
    """Say what still runs, and raise what ended the call early."""
    failure, course.failure = course.failure, None
    try:
        if failure is not None:
            course.fill(failure, outcomes)
            raise failure
    finally:
        del failure  # its traceback holds this frame
    _tell_left(course)


def _tell_left(course: Course) -> None:
    if course.still_running:
        logging.getLogger(__name__).warning("%s", course.describe_left())
