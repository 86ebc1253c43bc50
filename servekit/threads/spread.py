"""What `parallel` and `aparallel` are made of: one loop that waits in a thread, one that awaits."""

import asyncio
import dataclasses
import functools
import queue
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable
from concurrent.futures import Executor, Future
from contextvars import Context
from itertools import islice
from operator import itemgetter
from typing import Any, Generic, TypeVar

from servekit.threads.context import ContextThreadPoolExecutor, is_async, submit_call

__all__ = ["LoopSpread", "Plan", "spread_over_threads"]

_T = TypeVar("_T")
_R = TypeVar("_R")


@dataclasses.dataclass(frozen=True)
class Plan:
    """How items are worked on; see `parallel` for what each field means."""

    context: Context
    max_concurrency: int
    ordered: bool
    collect_errors: bool

    def outcome(self, ended: Future[_R] | asyncio.Future[_R]) -> _R | Exception:
        """The result of an item, or its exception if that is to be collected.

        Raises:
            BaseException: The item's exception, if it is not to be collected.
        """
        if self.collect_errors and not ended.cancelled() and isinstance(error := ended.exception(), Exception):
            return error
        return ended.result()

    def has_failed(self, ended: asyncio.Future[Any]) -> bool:
        """Whether `outcome` will raise."""
        error = None if ended.cancelled() else ended.exception()
        return ended.cancelled() or not (error is None or (self.collect_errors and isinstance(error, Exception)))


def spread_over_threads(
    fn: Callable[[_T], _R], items: Iterable[_T], plan: Plan, executor: Executor
) -> list[_R | Exception]:
    """Call `fn` for every item in threads of `executor`, and wait for all."""
    # Of all queues only this one is safe to wait at when a CancelationError may strike: it is all C.
    ended: queue.SimpleQueue[int] = queue.SimpleQueue()
    running: dict[int, Future[_R]] = {}
    results: list[tuple[int, _R | Exception]] = []
    intake = enumerate(items)
    try:
        while True:
            for index, item in islice(intake, plan.max_concurrency - len(running)):
                job = running[index] = submit_call(executor, plan.context.copy(), functools.partial(fn, item))
                job.add_done_callback(functools.partial(_put, ended, index))
            if not running:
                break
            index = ended.get()
            outcome = plan.outcome(running.pop(index))
            results.append((index, outcome))
    finally:
        for index, job in running.items():
            job.cancel()
            # Again: what struck may have come before the first one was added, or when it had put an index that
            # was taken and never looked at. One too many does no harm.
            job.add_done_callback(functools.partial(_put, ended, index))
        while running:
            running.pop(ended.get(), None)
    if plan.ordered:
        results.sort(key=itemgetter(0))
    return [result for _, result in results]


def _put(ended: "queue.SimpleQueue[int]", index: int, _: Future[Any]) -> None:
    ended.put(index)


class LoopSpread(Generic[_T, _R]):
    """One call of `aparallel`. All of it happens on the consumer's event loop."""

    def __init__(self, fn: Callable[[_T], Any], items: Iterable[_T], plan: Plan, executor: Executor | None) -> None:
        self._fn = fn
        self._items = items
        self._plan = plan
        self._executor = executor
        self._cancels: dict[asyncio.Future[_R], Callable[[], object]] = {}  # what runs, and how to stop it
        self._due: deque[asyncio.Future[_R]] = deque()  # in the order in which the consumer gets them
        self._taken = 0  # items that were started and whose results the consumer has not got
        self._failed: asyncio.Future[_R] | None = None
        self._news = asyncio.Event()

    async def results(self) -> AsyncGenerator[_R | Exception, None]:
        """Start items and give their results, until there are no more or one fails."""
        own = None
        if self._executor is None and not is_async(self._fn):
            own = self._executor = ContextThreadPoolExecutor(
                self._plan.max_concurrency, thread_name_prefix="servekit-parallel"
            )
        intake = iter(self._items)
        try:
            while True:
                for item in islice(intake, self._plan.max_concurrency - self._taken):
                    self._start(item)
                if self._failed is not None:
                    self._plan.outcome(self._failed)
                elif self._due and self._due[0].done():
                    self._taken -= 1
                    outcome = self._plan.outcome(self._due.popleft())
                    yield outcome
                elif self._taken:
                    self._news.clear()
                    await self._news.wait()
                else:
                    return
        finally:
            try:
                await self._end()
            finally:
                if own is not None:
                    own.shutdown(wait=False)  # its threads are idle, except when the wait for them was cancelled

    def _start(self, item: _T) -> None:
        context = self._plan.context.copy()
        future: asyncio.Future[_R]
        if self._executor is None:
            future = asyncio.get_running_loop().create_task(self._fn(item), context=context)
            self._cancels[future] = future.cancel
        else:
            job = submit_call(self._executor, context, functools.partial(self._fn, item))
            future = asyncio.wrap_future(job)
            self._cancels[future] = job.cancel
        self._taken += 1
        if self._plan.ordered:
            self._due.append(future)
        future.add_done_callback(self._take_note)

    def _take_note(self, future: asyncio.Future[_R]) -> None:
        del self._cancels[future]
        if not self._plan.ordered:
            self._due.append(future)
        if self._plan.has_failed(future) and self._failed is None:
            self._failed = future
        self._news.set()

    async def _end(self) -> None:
        """Stop what runs and wait for it: a task when it has ended, a thread when it returns."""
        for cancel in list(self._cancels.values()):
            cancel()
        if self._cancels:
            await asyncio.wait(list(self._cancels))
