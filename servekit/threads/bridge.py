"""The bridge: what a generator yields in a thread, for a consumer on an event loop."""

import asyncio
import functools
import inspect
import threading
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from contextvars import Context, copy_context
from typing import Any, Generic, ParamSpec, TypeVar, overload

from servekit.errors import CancelationError
from servekit.threads.context import is_async
from servekit.threads.producer import Producer

__all__ = ["ThreadBridge", "async_generator_from_thread"]

_P = ParamSpec("_P")
_T = TypeVar("_T")

_ITEMS_PER_TURN = 1024
"""Items that `async for` takes before other tasks of the loop get their turn. By feel: less than a millisecond."""


class ThreadBridge(Generic[_T]):
    """The items of an iterable that is stepped in a thread, in batches or one by one.

    It is made anywhere, and starts when the consumer asks for the first item; from then on it belongs to
    that event loop. Only `stop` and `put` may be called from other threads. The iterable is made, stepped and closed
    by one thread under one Context.

    Args:
        source: Gives the iterable; called in the thread.
        context: Where all of it runs; a copy of the caller's if not given. It must not be in use elsewhere.
        executor: Whose thread to use; never shut down from here. If not given, a new thread is started,
            which ends with the bridge.
        max_queue_size: How many items may be produced and not yet taken; 0 for no limit. At the limit the
            producer waits before its next step and goes on at once when an item is taken.
        on_enter: Called in the thread before anything else. Exceptions may be planted in the thread (with
            `PyThreadState_SetAsyncExc`) from then on. What it raises ends the bridge.
        on_leave: Called in the thread when the iterable has been closed. It may be called twice, and again when
            something strikes inside it, and after an `on_enter` that failed. When it has returned, no exception
            may be on its way to the thread.
    """

    def __init__(
        self,
        source: Callable[[], Iterable[_T]],
        *,
        context: Context | None = None,
        executor: Executor | None = None,
        max_queue_size: int = 0,
        on_enter: Callable[[], object] | None = None,
        on_leave: Callable[[], object] | None = None,
    ) -> None:
        if max_queue_size < 0:
            raise ValueError(f"max_queue_size is {max_queue_size}; it must be 0 (no limit) or more")
        context = copy_context() if context is None else context
        self._producer = Producer(source, context, max_queue_size, on_enter, on_leave)
        self._executor = executor
        self._loop: asyncio.AbstractEventLoop | None = None
        self._job: Future[None] | None = None
        self._waiters: list[asyncio.Future[None]] = []
        self._is_left = False

    async def next_batch(self) -> list[_T]:
        """Wait until there is an item, and take all there are.

        Every call lets the loop's other tasks run. When the call is cancelled nothing is lost, and the producer
        goes on.

        Raises:
            StopAsyncIteration: The iterable has ended and everything was taken.
            CancelationError: `stop` ended it early; everything it gave until then was taken.
            BaseException: Whatever else ended it, once, after all items before it.
        """
        if await self._until_ready():
            items = self._producer.items
            batch = [items.popleft() for _ in range(len(items))]
            self._producer.make_room()
            return batch
        raise self._take_error() or StopAsyncIteration

    async def __aiter__(self) -> AsyncGenerator[_T, None]:
        """Iterate over the items one by one; the producer is stopped when the iteration is left.

        `aclose` of the iterator waits for the producer's end, as that of the bridge does. A cancelled iteration
        does not wait: the thread ends by itself at its next item, and what closing the iterable then raises goes
        to the loop's exception handler.
        """
        producer = self._producer
        items = producer.items
        try:
            while await self._until_ready():
                for _ in range(min(len(items), _ITEMS_PER_TURN)):
                    item = items.popleft()
                    if producer.full:
                        producer.make_room()
                    yield item
                    del item  # not kept alive while waiting for the next one
            self._raise(self._take_error())
        except GeneratorExit:
            await self.aclose()
            raise
        finally:
            self.stop()
            self._is_left = True

    def stop(self) -> None:
        """Ask the producer to close its iterable at the next item; callable from any thread, does not wait.

        What was produced until then can still be taken.
        """
        self._producer.stop()

    def put(self, item: _T) -> None:
        """Give the consumer an item between what the iterable has given and what it is going to give.

        To be called by the iterable's own code, in its thread. It never waits: at the limit the next step does.
        """
        self._producer.put(item)

    async def aclose(self) -> None:
        """Stop the producer, drop what was not taken, and wait for its end.

        A cancelled wait leaves a stopped producer behind, which ends by itself at its next item.

        Raises:
            BaseException: What closing the iterable raised. What it raised before that is dropped with the items.
        """
        self.stop()
        if self._loop is None:
            return
        if self._job is not None:
            self._job.cancel()  # a job that has not begun need not wait for a free thread
        while not self._producer.ended:
            await self._wait(lambda: self._producer.ended)
        self._producer.items.clear()
        error = self._take_error()
        self._raise(error if self._producer.error_in_close else None)

    # ------------------------------------------------------------------ waiting

    async def _until_ready(self) -> bool:
        """Suspend at least once, until there are items (True) or the end has come (False)."""
        producer = self._producer
        if self._loop is None:
            self._start()
        if producer.items or producer.ended:
            await asyncio.sleep(0)
        while True:
            ended = producer.ended  # looked at before the items: whatever came before the end is there then
            if producer.items:
                return True
            if ended:
                return False
            await self._wait(lambda: bool(producer.items) or producer.ended)

    async def _wait(self, is_over: Callable[[], bool]) -> None:
        """Wait for a sign of the producer, unless there is nothing to wait for."""
        assert self._loop is not None
        waiter: asyncio.Future[None] = self._loop.create_future()
        self._waiters.append(waiter)
        try:
            self._producer.is_woken = False
            self._producer.idle = True
            if not is_over():
                self._producer.open_gate()  # it may be pausing until we are here
                await waiter
        finally:
            self._waiters.remove(waiter)

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._report_if_left()

    # ------------------------------------------------------------------ beginning and end

    def _start(self) -> None:
        producer = self._producer
        self._loop = asyncio.get_running_loop()
        producer.attach(self._loop, self._wake)
        if producer.is_stopped:
            producer.end_without_run(CancelationError())
            return
        try:
            if self._executor is None:
                _run_in_new_thread(producer.run)
                return
            # Empty, for the thread that the executor may start now and keep.
            self._job = Context().run(self._executor.submit, producer.run)
        except BaseException:
            producer.end_without_run(None)
            raise
        self._job.add_done_callback(self._after_job)

    def _after_job(self, job: Future[None]) -> None:
        """Bring the end where the job could not, because it never ran."""
        if self._producer.ended:
            return
        if not job.cancelled():
            self._producer.end_without_run(job.exception())
        elif self._producer.is_stopped:
            self._producer.end_without_run(CancelationError())
        else:
            self._producer.end_without_run(RuntimeError("the executor was shut down before the generator could begin"))

    def _report_if_left(self) -> None:
        producer = self._producer
        if self._is_left and self._loop is not None and producer.ended and producer.error_in_close:
            error = self._take_error()
            if error is not None:
                message = "closing a generator in a thread failed after its consumer had gone"
                self._loop.call_exception_handler({"message": message, "exception": error})

    def _take_error(self) -> BaseException | None:
        error, self._producer.error = self._producer.error, None
        if isinstance(error, StopIteration | StopAsyncIteration):
            # As PEP 479 has it: it must not be taken for the regular end.
            wrapped = RuntimeError(f"the iterable raised {type(error).__name__}")
            wrapped.__cause__ = error
            return wrapped
        return error

    @staticmethod
    def _raise(error: BaseException | None) -> None:
        try:
            if error is not None:
                raise error
        finally:
            del error  # its traceback holds this frame


def _run_in_new_thread(fn: Callable[[], None]) -> None:
    # A daemon: a generator that never ends must not keep the process from ending.
    Context().run(threading.Thread(target=fn, name="servekit-bridge", daemon=True).start)


@overload
def async_generator_from_thread(executor: Callable[_P, Iterator[_T]], /) -> Callable[_P, AsyncGenerator[_T, None]]: ...
@overload
def async_generator_from_thread(
    executor: Executor | None = None, max_queue_size: int = 0
) -> Callable[[Callable[_P, Iterator[_T]]], Callable[_P, AsyncGenerator[_T, None]]]: ...
def async_generator_from_thread(
    executor: Executor | Callable[..., Iterator[Any]] | None = None, max_queue_size: int = 0
) -> Callable[..., Any]:
    """Turn a generator function into one that runs in a thread and gives an async generator.

    ```python
    @async_generator_from_thread(max_queue_size=100)
    def tokens(prompt: str) -> Iterator[str]: ...

    async for token in tokens("Hello"): ...
    ```

    The body runs, step by step, in one thread and one Context: a copy of the caller's, made when the function
    is called. It begins when the first item is asked for. An exception in it reaches the consumer with its
    traceback, after all items before it. A consumer that is cancelled, or whose loop is closed, goes at once;
    the generator is then closed at its next item, by its own thread. `aclose` (so also the end of
    `contextlib.aclosing`) waits for that, and raises what the closing raised.

    Args:
        executor: Whose threads to use; it is never shut down from here. If not given, each generator has a new
            thread, which ends with it.
        max_queue_size: How many items the body may be ahead of the consumer; 0 for no limit. At the limit it
            waits before its next step, and goes on at once when an item is taken.

    Raises:
        TypeError: The function is async already.
        ValueError: `max_queue_size` is negative.
    """
    if executor is not None and not isinstance(executor, Executor):
        return async_generator_from_thread()(executor)
    if max_queue_size < 0:
        raise ValueError(f"max_queue_size is {max_queue_size}; it must be 0 (no limit) or more")

    def decorate(fn: Callable[_P, Iterator[_T]]) -> Callable[_P, AsyncGenerator[_T, None]]:
        if is_async(fn) or inspect.isasyncgenfunction(fn):
            raise TypeError(f"{fn!r} is async already; async_generator_from_thread takes a sync generator function")

        @functools.wraps(fn)
        def generate(*args: _P.args, **kwargs: _P.kwargs) -> AsyncGenerator[_T, None]:
            source = functools.partial(fn, *args, **kwargs)
            return ThreadBridge(source, executor=executor, max_queue_size=max_queue_size).__aiter__()

        return generate

    return decorate
