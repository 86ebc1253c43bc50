"""Blocking calls for an event loop, in threads that nobody has to wait for at the end.

The loop's own executor is joined when the loop ends, and an engine that hangs would hold up the end of
a command by a minute.
"""

import asyncio
import contextlib
import functools
import threading
from collections.abc import Callable, Iterable
from typing import ParamSpec, TypeVar

__all__ = ["call_in_thread", "in_loop", "read_in_thread"]

P = ParamSpec("P")
T = TypeVar("T")


def call_in_thread(function: Callable[[], T]) -> asyncio.Future[T]:
    """Call a function in a thread of its own; canceling the future does not stop it."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        try:
            result = function()
        except BaseException as error:  # noqa: BLE001 - it goes to whoever waits for the result
            _tell(loop, _fail, future, error)
        else:
            _tell(loop, _succeed, future, result)

    threading.Thread(target=run, daemon=True).start()
    return future


def read_in_thread(items: Iterable[T], take: Callable[[T], None], end: Callable[[], None]) -> None:
    """Read a stream of the engine in a thread of its own.

    Args:
        items: Ends or raises when the engine, or the container, has gone.
        take: Gets each item, in the thread; what is read next waits for it.
        end: Is called after the last one, in the thread.
    """

    def run() -> None:
        # A connection that is closed, by either side, ends its stream in many ways.
        with contextlib.suppress(Exception):
            for item in items:
                take(item)
        end()

    threading.Thread(target=run, daemon=True).start()


def in_loop(function: Callable[P, None]) -> Callable[P, None]:
    """Let a function be called from threads; it runs in the loop that runs now, in the order of the calls."""
    loop = asyncio.get_running_loop()

    def call(*args: P.args, **kwargs: P.kwargs) -> None:
        _tell(loop, functools.partial(function, *args, **kwargs))

    return call


def _tell(loop: asyncio.AbstractEventLoop, function: Callable[..., None], *arguments: object) -> None:
    with contextlib.suppress(RuntimeError):  # the loop has ended, and nobody wants to know any more
        loop.call_soon_threadsafe(function, *arguments)


def _succeed(future: asyncio.Future[T], result: T) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[T], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
