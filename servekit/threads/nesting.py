"""Calls of `parallel` inside one another must not wait for a thread that one of them holds.

A call that uses an executor whose thread it runs in, itself or through calls around it, can wait for ever: all of
the executor's threads may do the same. It depends on how busy they are, so it is refused always, not now and then.
"""

import threading
from collections.abc import Generator
from concurrent.futures import Executor
from contextlib import contextmanager
from contextvars import Context, ContextVar
from typing import Any

__all__ = ["waiting_for_items"]


class _Wait:
    """A call of `parallel` that goes on: the thread that waits for it, and the executor that its items use."""

    __slots__ = ("executor", "is_over", "thread")

    def __init__(self, executor: Executor | None) -> None:
        self.thread = threading.current_thread()
        self.executor = executor
        self.is_over = False

    def holds_thread_of(self, executor: Executor) -> bool:
        # Only the executors of the standard library, and those made from them, tell what their threads are.
        threads: Any = getattr(executor, "_threads", ())
        return not self.is_over and (self.executor is executor or self.thread in threads)


_waits: ContextVar[tuple[_Wait, ...]] = ContextVar("servekit_parallel_waits", default=())


@contextmanager
def waiting_for_items(executor: Executor | None, context: Context) -> Generator[None]:
    """Mark a call of `parallel` in the Context of its items, until the block ends.

    Raises:
        RuntimeError: The calling code holds a thread of `executor`.
    """
    wait = _Wait(executor)
    waits = context.get(_waits, ())
    if executor is not None and any(
        [*(outer.holds_thread_of(executor) for outer in waits), wait.thread in getattr(executor, "_threads", ())]
    ):
        raise RuntimeError(
            "the executor given to parallel() runs the code that calls it: all its threads might wait here for one "
            "another. Leave out `executor`, so that threads are started for this call, or give it one of its own."
        )
    context.run(_waits.set, (*waits, wait))
    try:
        yield
    finally:
        wait.is_over = True
