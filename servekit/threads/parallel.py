"""One function over many items, with bounded concurrency: `parallel` for sync code, `aparallel` for async code.

Both take an item from the input only when it can be started, so the input may be lazy, and endless where the
consumer stops. Every item runs in a copy of its own of the caller's Context.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable
from concurrent.futures import Executor
from typing import Any, Literal, TypedDict, TypeVar, Unpack, overload

from servekit.threads.context import is_async
from servekit.threads.plan import ProgressCallback, make_plan
from servekit.threads.retrying import RetryPolicy
from servekit.threads.spread import spread_in_thread, spread_on_loop

__all__ = ["aparallel", "parallel"]

_T = TypeVar("_T")
_R = TypeVar("_R")


class _Options(TypedDict, total=False):
    """What does not change the type of the results; described at `parallel`."""

    max_concurrency: int
    ordered: bool
    executor: Executor | None
    timeout: float | None
    retries: int | RetryPolicy
    progress: ProgressCallback | bool


@overload
def parallel(
    fn: Callable[[_T], Coroutine[Any, Any, _R]],
    items: Iterable[_T],
    *,
    on_error: Literal["raise"] = "raise",
    **options: Unpack[_Options],
) -> list[_R]: ...
@overload
def parallel(
    fn: Callable[[_T], Coroutine[Any, Any, _R]],
    items: Iterable[_T],
    *,
    on_error: Literal["collect"],
    max_errors: int | None = None,
    **options: Unpack[_Options],
) -> list[_R | Exception]: ...
@overload
def parallel(
    fn: Callable[[_T], _R],
    items: Iterable[_T],
    *,
    on_error: Literal["raise"] = "raise",
    **options: Unpack[_Options],
) -> list[_R]: ...
@overload
def parallel(
    fn: Callable[[_T], _R],
    items: Iterable[_T],
    *,
    on_error: Literal["collect"],
    max_errors: int | None = None,
    **options: Unpack[_Options],
) -> list[_R | Exception]: ...
def parallel(
    fn: Callable[[Any], Any],
    items: Iterable[Any],
    *,
    max_concurrency: int = 8,
    ordered: bool = True,
    on_error: Literal["raise", "collect"] = "raise",
    executor: Executor | None = None,
    timeout: float | None = None,
    retries: int | RetryPolicy = 0,
    max_errors: int | None = None,
    progress: ProgressCallback | bool = False,
) -> list[Any]:
    """Call `fn` for every item, several at once, and wait for all results.

    A sync function runs in threads, an async one in tasks of an event loop that has a thread of its own.

    Ctrl-C and the cancelation of a prediction end it at once: no item is started any more, async ones are cancelled,
    and what runs is waited for at most half a second. A note in the exception says how many items were done, failed,
    were stopped and were not started. Threads that are left do not keep the process from ending, unless they are those
    of an `executor`.

    Args:
        fn: Called with one item.
        items: Read in the calling thread, never further ahead than what runs.
        max_concurrency: How many calls may run at once, those that timed out and have not returned included.
        ordered: Results in the order of the items; otherwise as they are completed.
        on_error: `"raise"`: the first exception in time is raised; no item is started after it, async ones that
            run are cancelled, and sync ones that run are waited for. `"collect"`: an `Exception` takes the place of
            the result. One that is no `Exception`, such as `CancelationError`, is raised in either case.
        executor: Whose threads a sync `fn` uses; never shut down from here. It must not be one that the caller itself
            occupies a thread of. If not given, threads are started for this call.
        timeout: Seconds that one try of one item may take. Then an async one is cancelled, and the item fails with
            `ItemTimeoutError`. A thread cannot be interrupted: the item fails, its call goes on, and what it returns is
            dropped. Such calls are not waited for at the end; the log names their number.
        retries: How many more tries an item has, with growing pauses; a `RetryPolicy` says also after which errors and
            pauses. An item that timed out in a thread is only tried again if its call has returned by then.
        max_errors: With `"collect"`: no item is started after so many have failed, and `ParallelError` is raised,
            which holds the results.
        progress: Called after each item, in the calling thread, with the number of items that have a result, that
            failed, and of all of them (None if `items` has no length). An `Exception` in it is logged, and
            it is not called again. True writes a line to stderr if that is a terminal.

    Raises:
        ItemTimeoutError: An item took longer than `timeout`.
        ParallelError: `max_errors` items failed, or all threads were held for a minute by calls that timed out.
        TypeError: `fn` is a generator function.
        ValueError: An argument is out of its range, or `max_errors` was given without `"collect"`.
        RuntimeError: `fn` is async and this thread runs an event loop already; use `aparallel` there. Or the caller
            occupies a thread of `executor`, itself or through calls of `parallel` around it.
    """
    plan = make_plan(
        "parallel",
        fn,
        items,
        max_concurrency=max_concurrency,
        ordered=ordered,
        on_error=on_error,
        timeout=timeout,
        retries=retries,
        max_errors=max_errors,
        progress=progress,
    )
    if is_async(fn):
        _refuse_running_loop()
    return spread_in_thread(fn, items, plan, None if is_async(fn) else executor)


@overload
def aparallel(
    fn: Callable[[_T], Coroutine[Any, Any, _R]],
    items: Iterable[_T],
    *,
    on_error: Literal["raise"] = "raise",
    **options: Unpack[_Options],
) -> AsyncGenerator[_R, None]: ...
@overload
def aparallel(
    fn: Callable[[_T], Coroutine[Any, Any, _R]],
    items: Iterable[_T],
    *,
    on_error: Literal["collect"],
    max_errors: int | None = None,
    **options: Unpack[_Options],
) -> AsyncGenerator[_R | Exception, None]: ...
@overload
def aparallel(
    fn: Callable[[_T], _R],
    items: Iterable[_T],
    *,
    on_error: Literal["raise"] = "raise",
    **options: Unpack[_Options],
) -> AsyncGenerator[_R, None]: ...
@overload
def aparallel(
    fn: Callable[[_T], _R],
    items: Iterable[_T],
    *,
    on_error: Literal["collect"],
    max_errors: int | None = None,
    **options: Unpack[_Options],
) -> AsyncGenerator[_R | Exception, None]: ...
def aparallel(
    fn: Callable[[Any], Any],
    items: Iterable[Any],
    *,
    max_concurrency: int = 8,
    ordered: bool = True,
    on_error: Literal["raise", "collect"] = "raise",
    executor: Executor | None = None,
    timeout: float | None = None,
    retries: int | RetryPolicy = 0,
    max_errors: int | None = None,
    progress: ProgressCallback | bool = False,
) -> AsyncGenerator[Any, None]:
    """Call `fn` for every item, several at once, and give the results while others run.

    An async function runs in tasks, a sync one in threads. It begins when the first result is asked for, and is
    never more than `max_concurrency` items ahead of what the consumer has taken, so memory is bounded also when
    `items` never ends. Arguments and errors are those of `parallel`, except that `items` is read and `progress`
    called on the event loop, so neither must block, and that a `ParallelError` holds only the results that the consumer
    has not got.

    When the iteration is left (`aclose`, best by `contextlib.aclosing`), no item is started any more, tasks are
    cancelled, and what runs is waited for: threads cannot be interrupted. When it is cancelled, it waits at most half a
    second, and a second cancelation ends the wait.
    """
    plan = make_plan(
        "aparallel",
        fn,
        items,
        max_concurrency=max_concurrency,
        ordered=ordered,
        on_error=on_error,
        timeout=timeout,
        retries=retries,
        max_errors=max_errors,
        progress=progress,
    )
    return spread_on_loop(fn, items, plan, None if is_async(fn) else executor)


def _refuse_running_loop() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise RuntimeError("this thread runs an event loop already; use aparallel() instead of parallel() in async code")
