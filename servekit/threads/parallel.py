"""One function over many items, with bounded concurrency: `parallel` for sync code, `aparallel` for async code.

Both take an item from the input only when it can be started, so the input may be lazy, and endless where the
consumer stops. Both leave nothing running: they end, by result, error or cancelation, when all they started
has ended. Every item runs in a copy of its own of the caller's Context.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable
from concurrent.futures import Executor
from contextvars import copy_context
from typing import Any, Literal, TypeVar, overload

from servekit.threads.context import ContextThreadPoolExecutor, is_async, refuse_deferred
from servekit.threads.spread import LoopSpread, Plan, spread_over_threads

__all__ = ["aparallel", "parallel"]

_T = TypeVar("_T")
_R = TypeVar("_R")


@overload
def parallel(
    fn: Callable[[_T], Coroutine[Any, Any, _R]],
    items: Iterable[_T],
    *,
    max_concurrency: int = 8,
    ordered: bool = True,
    on_error: Literal["raise"] = "raise",
    executor: Executor | None = None,
) -> list[_R]: ...
@overload
def parallel(
    fn: Callable[[_T], Coroutine[Any, Any, _R]],
    items: Iterable[_T],
    *,
    max_concurrency: int = 8,
    ordered: bool = True,
    on_error: Literal["collect"],
    executor: Executor | None = None,
) -> list[_R | Exception]: ...
@overload
def parallel(
    fn: Callable[[_T], _R],
    items: Iterable[_T],
    *,
    max_concurrency: int = 8,
    ordered: bool = True,
    on_error: Literal["raise"] = "raise",
    executor: Executor | None = None,
) -> list[_R]: ...
@overload
def parallel(
    fn: Callable[[_T], _R],
    items: Iterable[_T],
    *,
    max_concurrency: int = 8,
    ordered: bool = True,
    on_error: Literal["collect"],
    executor: Executor | None = None,
) -> list[_R | Exception]: ...
def parallel(
    fn: Callable[[Any], Any],
    items: Iterable[Any],
    *,
    max_concurrency: int = 8,
    ordered: bool = True,
    on_error: Literal["raise", "collect"] = "raise",
    executor: Executor | None = None,
) -> list[Any]:
    """Call `fn` for every item, several at once, and wait for all results.

    A sync function runs in threads, an async one in tasks of an event loop made for this call.

    Args:
        fn: Called with one item.
        items: Read in the calling thread, never further ahead than what runs.
        max_concurrency: How many items may run at once.
        ordered: Results in the order of the items; otherwise as they are completed.
        on_error: `"raise"`: the first exception in time is raised; no item is started after it, async ones that
            run are cancelled, and sync ones that run are waited for. `"collect"`: an `Exception` takes the place of
            the result. One that is no `Exception`, such as `CancelationError`, is raised in either case.
        executor: Whose threads a sync `fn` uses; never shut down from here. It must not be one that the caller itself
            occupies a thread of: all its threads might wait here for one another. If not given, threads are started
            for this call.

    Raises:
        TypeError: `fn` is a generator function.
        ValueError: `max_concurrency` is below 1, or `on_error` is neither of the two.
        RuntimeError: `fn` is async and this thread runs an event loop already; use `aparallel` there.
    """
    plan = _plan("parallel", fn, max_concurrency, ordered, on_error)
    if is_async(fn):
        return _on_own_loop(fn, items, plan)
    if executor is not None:
        return spread_over_threads(fn, items, plan, executor)
    with ContextThreadPoolExecutor(max_concurrency, thread_name_prefix="servekit-parallel") as own:
        return spread_over_threads(fn, items, plan, own)


@overload
def aparallel(
    fn: Callable[[_T], Coroutine[Any, Any, _R]],
    items: Iterable[_T],
    *,
    max_concurrency: int = 8,
    ordered: bool = True,
    on_error: Literal["raise"] = "raise",
    executor: Executor | None = None,
) -> AsyncGenerator[_R, None]: ...
@overload
def aparallel(
    fn: Callable[[_T], Coroutine[Any, Any, _R]],
    items: Iterable[_T],
    *,
    max_concurrency: int = 8,
    ordered: bool = True,
    on_error: Literal["collect"],
    executor: Executor | None = None,
) -> AsyncGenerator[_R | Exception, None]: ...
@overload
def aparallel(
    fn: Callable[[_T], _R],
    items: Iterable[_T],
    *,
    max_concurrency: int = 8,
    ordered: bool = True,
    on_error: Literal["raise"] = "raise",
    executor: Executor | None = None,
) -> AsyncGenerator[_R, None]: ...
@overload
def aparallel(
    fn: Callable[[_T], _R],
    items: Iterable[_T],
    *,
    max_concurrency: int = 8,
    ordered: bool = True,
    on_error: Literal["collect"],
    executor: Executor | None = None,
) -> AsyncGenerator[_R | Exception, None]: ...
def aparallel(
    fn: Callable[[Any], Any],
    items: Iterable[Any],
    *,
    max_concurrency: int = 8,
    ordered: bool = True,
    on_error: Literal["raise", "collect"] = "raise",
    executor: Executor | None = None,
) -> AsyncGenerator[Any, None]:
    """Call `fn` for every item, several at once, and give the results while others run.

    An async function runs in tasks, a sync one in threads. It begins when the first result is asked for, and is
    never more than `max_concurrency` items ahead of what the consumer has taken, so memory is bounded also when
    `items` never ends. Arguments and errors are those of `parallel`, except that `items` is read on the event
    loop, so it must not block.

    When the iteration is left (`aclose`, best by `contextlib.aclosing`) or cancelled, no item is started any more,
    tasks are cancelled, and what runs is waited for: threads cannot be interrupted. A second cancelation ends the wait.
    """
    plan = _plan("aparallel", fn, max_concurrency, ordered, on_error)
    spread: LoopSpread[Any, Any] = LoopSpread(fn, items, plan, executor)
    return spread.results()


def _plan(caller: str, fn: Callable[[Any], Any], max_concurrency: int, ordered: bool, on_error: str) -> Plan:
    if not is_async(fn):
        refuse_deferred(fn, caller)
    if max_concurrency < 1:
        raise ValueError(f"max_concurrency is {max_concurrency}; it must be at least 1")
    if on_error not in ("raise", "collect"):
        raise ValueError(f'on_error is {on_error!r}; it must be "raise" or "collect"')
    return Plan(copy_context(), max_concurrency, ordered=ordered, collect_errors=on_error == "collect")


def _on_own_loop(fn: Callable[[_T], Any], items: Iterable[_T], plan: Plan) -> list[Any]:
    spread: LoopSpread[_T, Any] = LoopSpread(fn, items, plan, None)

    async def gather() -> list[Any]:
        return [result async for result in spread.results()]

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(gather())
    raise RuntimeError("this thread runs an event loop already; use aparallel() instead of parallel() in async code")
