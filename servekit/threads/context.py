"""Carrying a `contextvars.Context` into other threads.

Two rules hold for every thread that servekit starts. A job runs in its *own copy* of its submitter's
Context: one Context cannot be entered by two threads at once, and what one job sets no other sees.
And a thread that outlives a job is created under an *empty* Context: where threads inherit their
creator's Context (`-X thread_inherit_context`, the default of free-threaded builds), a pool thread
would otherwise keep the Context of the first request for its whole life.
"""

import functools
import inspect
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextvars import Context, copy_context
from typing import Any, ParamSpec, TypeVar

__all__ = ["ContextThreadPoolExecutor", "propagate"]

_P = ParamSpec("_P")
_T = TypeVar("_T")


def propagate(fn: Callable[_P, _T]) -> Callable[_P, _T]:
    """Bind a function to the Context of the caller, for use in another thread.

    What it sees is the caller's Context as it is now, `current_scope()` included. Each call runs in a
    copy of its own, so it may be called many times, also at once, and no call sees what another set.

    Args:
        fn: A plain function. A method, a partial or any other callable will do.

    Raises:
        TypeError: `fn` is a coroutine or generator function; its body would run elsewhere, later.
    """
    refuse_deferred(fn, "propagate")
    context = copy_context()

    @functools.wraps(fn)
    def run(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        return context.copy().run(fn, *args, **kwargs)

    return run


class ContextThreadPoolExecutor(ThreadPoolExecutor):
    """A `concurrent.futures.ThreadPoolExecutor` whose jobs see their submitter's Context.

    `submit` and `map` give every job its own copy of the Context of whoever calls them. The threads
    themselves belong to no Context.
    """

    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        """Schedule `fn(*args, **kwargs)` in a copy of the caller's Context; else as the standard library's."""
        context = copy_context()

        def run() -> _T:
            return context.run(fn, *args, **kwargs)

        # The empty Context is for the thread that this call may start.
        return Context().run(super().submit, run)


def submit_call(executor: Executor, context: Context, call: Callable[[], _T]) -> Future[_T]:
    """Run `call` in a thread of `executor` under `context`, from code that will await the outcome."""

    def run() -> _T:
        return context.run(call_guarded, call)

    # The empty Context is for the thread that this call may start.
    return Context().run(executor.submit, run)


def call_guarded(call: Callable[[], _T]) -> _T:
    """Call what must not end the coroutine that waits for it."""
    try:
        return call()
    except StopIteration as error:
        # As PEP 479 has it for generators: it would end the coroutine it is raised into, and cannot be set on a Future.
        raise RuntimeError("the function raised StopIteration") from error


def is_async(fn: Callable[..., Any]) -> bool:
    """Whether calling `fn` gives a coroutine."""
    return inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(getattr(fn, "__call__", None))  # noqa: B004 - not whether it can be called, but whether an object's __call__ is a coroutine function


def refuse_deferred(fn: Callable[..., Any], caller: str) -> None:
    """Refuse a function whose body does not run while it is called.

    Raises:
        TypeError: `fn` is a coroutine, generator or async generator function.
    """
    if inspect.isgeneratorfunction(fn):
        remedy = "use async_generator_from_thread for it"
    elif is_async(fn) or inspect.isasyncgenfunction(fn):
        remedy = "await or iterate it in a task; a task has its creator's Context already"
    else:
        return
    name = getattr(fn, "__qualname__", repr(fn))
    raise TypeError(
        f"{caller}() takes a plain function, but the body of {name} does not run when it is called; {remedy}"
    )
