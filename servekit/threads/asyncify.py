"""Plain functions, called from an event loop and run in threads."""

import asyncio
import functools
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from contextvars import copy_context
from typing import Any, ParamSpec, TypeVar

from servekit.threads.context import ContextThreadPoolExecutor, refuse_deferred, submit_call

__all__ = ["asyncify"]

_P = ParamSpec("_P")
_T = TypeVar("_T")


def asyncify(
    fn: Callable[_P, _T], *, executor: Executor | None = None, limit: int | None = None
) -> Callable[_P, Coroutine[Any, Any, _T]]:
    """Make an async function of a plain one; its body runs in a thread, in a copy of the caller's Context.

    An exception reaches the caller with its traceback. When the await is cancelled, it ends at once: a call
    that waits for a thread is dropped; one that runs cannot be interrupted, keeps its thread until it
    returns, and its result is dropped.

    Args:
        fn: The plain function.
        executor: Whose threads to use; it is never shut down from here. If not given, the function has threads
            of its own, started as they are needed; they end when the function is no longer referenced.
        limit: How many calls may run at once, over all event loops; more wait. A cancelled call counts until its
            thread is free. If not given, as many as `concurrent.futures.ThreadPoolExecutor` has by default.

    Raises:
        TypeError: `fn` is a coroutine or generator function.
        ValueError: Both `executor` and `limit` are given: an executor has a limit already.
    """
    refuse_deferred(fn, "asyncify")
    if executor is not None and limit is not None:
        raise ValueError("asyncify() takes `executor` or `limit`, not both; the executor's max_workers is the limit")
    threads = executor or ContextThreadPoolExecutor(limit, thread_name_prefix="servekit-asyncify")

    @functools.wraps(fn)
    async def run(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        call = functools.partial(fn, *args, **kwargs)
        return await asyncio.wrap_future(submit_call(threads, copy_context(), call))

    return run
