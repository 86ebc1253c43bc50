"""Where the attempts of `parallel` run: in threads, in tasks, or in tasks of a loop that has a thread of its own."""

import asyncio
import contextlib
import functools
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextvars import Context
from typing import Any, Protocol

from servekit.threads.attempts import Attempt
from servekit.threads.context import ContextThreadPoolExecutor, submit_call
from servekit.threads.undisturbed import start_undisturbed

__all__ = ["DaemonThreadStarter", "ExecutorStarter", "LoopThreadStarter", "Starter", "TaskStarter"]


class Starter(Protocol):
    """Where attempts run."""

    def start(self, attempt: Attempt) -> None:
        """Have it run."""

    def cancel(self, attempt: Attempt) -> bool:
        """Stop it as far as possible, and return whether it is going to end soon."""
        raise NotImplementedError

    def close(self) -> None:
        """End what was started for attempts, when those that run have ended; do not wait for it. May be repeated."""


class DaemonThreadStarter:
    """Runs attempts in threads of its own, started as they are needed.

    They are daemons: the interpreter waits at its exit for the threads of every `ThreadPoolExecutor`, and an item that
    hangs would turn Ctrl-C into a process that never ends. And no lock is taken here in Python code: what strikes the
    calling thread in between would leave it locked.
    """

    def __init__(self, max_threads: int) -> None:
        self._max_threads = max_threads
        self._attempts: queue.SimpleQueue[Attempt | None] = queue.SimpleQueue()
        self._idle: queue.SimpleQueue[None] = queue.SimpleQueue()  # has an entry for each thread that waits
        self._count = 0

    def start(self, attempt: Attempt) -> None:
        """Have it run in a thread."""
        self._attempts.put(attempt)
        try:
            self._idle.get_nowait()
        except queue.Empty:
            if self._count < self._max_threads:
                self._start_thread()

    def cancel(self, attempt: Attempt) -> bool:
        """Drop it if it has not begun; one that has cannot be stopped."""
        attempt.is_dropped = True
        return attempt.began_at is None

    def close(self) -> None:
        """Let each thread end when its attempt has."""
        for _ in range(self._count):
            self._attempts.put(None)

    def _start_thread(self) -> None:
        self._count += 1  # first: one that does not come is asked to end in vain, one that is not counted never ends
        name = f"servekit-parallel_{self._count}"
        thread = threading.Thread(target=_work, args=(self._attempts, self._idle), name=name, daemon=True)
        start_undisturbed(functools.partial(Context().run, thread.start))


def _work(attempts: "queue.SimpleQueue[Attempt | None]", idle: "queue.SimpleQueue[None]") -> None:
    while (attempt := attempts.get()) is not None:
        attempt.context.run(attempt.run)
        del attempt  # it refers to the item and its result
        idle.put(None)


class ExecutorStarter:
    """Runs attempts in threads of an executor, which belongs to the caller."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        # Of others nobody knows what `submit` does: wait for room, or run the call at once.
        self._is_quick = type(executor) in (ThreadPoolExecutor, ContextThreadPoolExecutor)

    def start(self, attempt: Attempt) -> None:
        """Have it run in a thread."""
        submit = functools.partial(submit_call, self._executor, attempt.context, attempt.run)
        job: Future[None] = start_undisturbed(submit) if self._is_quick else submit()
        attempt.handle = job
        job.add_done_callback(functools.partial(_end_if_cancelled, attempt))

    def cancel(self, attempt: Attempt) -> bool:
        """Drop it if it has not begun; one that has cannot be stopped."""
        attempt.is_dropped = True
        return attempt.handle is not None and (attempt.handle.cancel() or attempt.handle.done())

    def close(self) -> None:
        """Do nothing: what was not begun has been dropped."""


def _end_if_cancelled(attempt: Attempt, job: "Future[None]") -> None:
    if job.cancelled():
        attempt.end_unrun()


class TaskStarter:
    """Runs attempts in tasks of the calling code's event loop."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()  # a loop alone does not keep its tasks

    def start(self, attempt: Attempt) -> None:
        """Have it run in a task."""
        task = asyncio.get_running_loop().create_task(attempt.run_async(), context=attempt.context)
        attempt.handle = task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(attempt.end_unrun)

    def cancel(self, attempt: Attempt) -> bool:
        """Cancel its task."""
        attempt.handle.cancel()
        return True

    def close(self) -> None:
        """Do nothing: a task that does not heed its cancelation stays with its loop."""

    async def ended(self) -> None:
        """Wait until no task is left."""
        while self._tasks:
            await asyncio.wait(self._tasks)


class LoopThreadStarter:
    """Runs attempts in tasks of an event loop that has a thread of its own.

    The calling thread stays free to be interrupted. An exception that strikes in the middle of an event loop's own code
    may be swallowed there, or leave it broken.
    """

    def __init__(self) -> None:
        self._starter = TaskStarter()
        self._may_end = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def start(self, attempt: Attempt) -> None:
        """Have it run in a task."""
        if self._loop is None:
            start_undisturbed(self._start_loop)
        self._tell(self._starter.start, attempt)

    def cancel(self, attempt: Attempt) -> bool:
        """Cancel its task."""
        attempt.is_dropped = True
        self._tell(self._cancel, attempt)
        return True

    def close(self) -> None:
        """Let the loop end when its tasks have."""
        self._tell(self._may_end.set)

    def join(self, timeout: float) -> None:
        """Wait for the end of the loop's thread."""
        if self._thread is not None:
            self._thread.join(timeout)

    def _start_loop(self) -> None:
        loop = asyncio.new_event_loop()
        # A daemon: tasks that do not heed their cancelation must not keep the process from ending.
        thread = threading.Thread(target=self._run, args=(loop,), name="servekit-parallel-loop", daemon=True)
        Context().run(thread.start)
        self._loop, self._thread = loop, thread

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(self._main())

    async def _main(self) -> None:
        await self._may_end.wait()
        await self._starter.ended()

    def _tell(self, step: Callable[..., object], *arguments: Any) -> None:
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended, as it was told before
                self._loop.call_soon_threadsafe(step, *arguments)

    def _cancel(self, attempt: Attempt) -> None:
        if attempt.handle is not None:
            self._starter.cancel(attempt)
