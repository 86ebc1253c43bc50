"""What runs the rows of a batch job: a predictor's workers, or whatever else gives one outcome for one row."""

import asyncio
import contextvars
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Final, Protocol, Self, runtime_checkable

from servekit.jobs.rows import FailureKind, Outcome, Row
from servekit.runtime.prediction import Status

__all__ = ["Cancel", "CoroutineTarget", "OnEnd", "Target"]

OnEnd = Callable[[Outcome], None]
"""What a target calls with the outcome of a row."""

Cancel = Callable[[], object]
"""Asks an attempt to end soon; its outcome still comes."""


@runtime_checkable
class Target(Protocol):
    """Runs rows. All of it happens on one event loop.

    A job does not open it and does not close it: whoever made a target does, by `async with`, around the job.
    """

    async def __aenter__(self) -> Self:
        """Make it ready to run rows; raises if that cannot be."""
        ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        """Let go of everything."""
        ...

    @property
    def slots(self) -> int | None:
        """How many rows it runs at a time as things are, or None when only trying can tell."""
        ...

    def listen(self, on_slots: Callable[[], None]) -> Callable[[], None]:
        """Have a function called whenever there are more slots than before; what is returned ends that."""
        ...

    def start(self, row: Row, timeout_seconds: float | None, on_end: OnEnd) -> Cancel:
        """Begin an attempt.

        Args:
            row: What to run. It has no fault.
            timeout_seconds: What is left of the row's time; after that the attempt ends as `TIMEOUT`.
            on_end: Called exactly once, on the loop, also after a cancel; it may be called before this returns.
        """
        ...


class CoroutineTarget(ABC):
    """A target whose attempts are coroutines, each in a task of its own; what speaks HTTP is one."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Outcome]] = set()

    async def __aenter__(self) -> Self:
        """Nothing is to be made ready."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        """Cancel what still runs, and wait for it."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    @property
    def slots(self) -> int | None:
        """How many rows may run at a time; None, unless a class knows better."""
        return None

    def listen(self, on_slots: Callable[[], None]) -> Callable[[], None]:  # noqa: ARG002 - the interface
        """Tell nothing: the number of slots does not change by itself."""
        return _do_nothing

    @abstractmethod
    async def run(self, row: Row) -> Outcome:
        """Make one attempt. What it raises is told as a failure of the model; better return an outcome that says more.

        When the row's time is up, or the job ends, the coroutine is cancelled.
        """

    def start(self, row: Row, timeout_seconds: float | None, on_end: OnEnd) -> Cancel:
        """Begin an attempt in a task."""
        loop = asyncio.get_running_loop()
        task = loop.create_task(self._attempt(row, timeout_seconds), context=contextvars.copy_context())
        self._tasks.add(task)
        task.add_done_callback(partial(self._tell, on_end))
        return task.cancel

    def _tell(self, on_end: OnEnd, task: asyncio.Task[Outcome]) -> None:
        self._tasks.discard(task)
        on_end(_CANCELED if task.cancelled() else task.result())

    async def _attempt(self, row: Row, timeout_seconds: float | None) -> Outcome:
        deadline = asyncio.timeout(timeout_seconds)
        try:
            async with deadline:
                return await self.run(row)
        except Exception as error:  # noqa: BLE001 - the border to whatever the target runs; told as the row's result
            if isinstance(error, TimeoutError) and deadline.expired():
                return Outcome.failure(FailureKind.TIMEOUT, f"timed out: {timeout_seconds:g} seconds were left for it")
            return Outcome.failure(FailureKind.MODEL, f"{type(error).__name__}: {error}")


def _do_nothing() -> None:
    """End what never began."""


_CANCELED: Final = Outcome(Status.CANCELED, error="canceled", kind=FailureKind.CANCELED)
