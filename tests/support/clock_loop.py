"""An event loop whose clock stands still until a test moves it: what takes an hour is tested in a millisecond."""

import asyncio
import selectors
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

__all__ = ["ClockLoop", "FakeTime"]

T = TypeVar("T")

_THREAD_PATIENCE_SECONDS = 0.001
"""How long, in real time, a turn waits for threads of the loop's executor: they know nothing of its clock."""


class FakeTime:
    """Stands in for the module `time` where code asks for the hour."""

    def __init__(self, loop: "ClockLoop") -> None:
        self.time = self.monotonic = self.perf_counter = loop.time


class ClockLoop(asyncio.SelectorEventLoop):
    """A loop that a test turns by hand.

    Attributes:
        faults: What went wrong in callbacks and in tasks that nobody waited for.
    """

    def __init__(self) -> None:
        super().__init__(_ImpatientSelector())
        self._hour = 1_000_000.0
        self.faults: list[Mapping[str, Any]] = []
        self.set_exception_handler(lambda _, context: self.faults.append(context))

    def time(self) -> float:
        """Return the hour."""
        return self._hour

    def do(self, step: Callable[..., T], *arguments: Any) -> T:
        """Call something as a callback of the loop, then let everything happen that follows at this hour."""
        outcome: asyncio.Future[T] = self.create_future()

        def call() -> None:
            try:
                outcome.set_result(step(*arguments))
            except Exception as error:  # noqa: BLE001 - raised below, by the caller's own `do`
                outcome.set_exception(error)

        self.call_soon(call)
        self.settle()
        return outcome.result()

    def settle(self) -> None:
        """Turn until nothing more is to be done at this hour."""
        while True:
            self.call_soon(self.stop)
            self.run_forever()
            if not self._ready and self._next_timer() > self._hour:
                return

    def advance(self, seconds: float) -> None:
        """Let time pass, from timer to timer."""
        end = self._hour + seconds
        self.settle()
        while (hour := self._next_timer()) <= end:
            self._hour = hour
            self.settle()
        self._hour = end

    def finish(self, body: Coroutine[Any, Any, T], seconds: float) -> T:
        """Run something to its end, which may take so many seconds of this clock and a few real ones."""
        task = self.create_task(body)
        end, real_end = self._hour + seconds, time.monotonic() + 10
        while True:
            self.settle()
            if task.done():
                return task.result()
            assert time.monotonic() < real_end
            if self._next_timer() <= end:
                self.advance(self._next_timer() - self._hour)

    def count_timers(self) -> int:
        """Return how many timers are still to come."""
        return sum(not timer.cancelled() for timer in self._scheduled)

    def _next_timer(self) -> float:
        return min((timer.when() for timer in self._scheduled if not timer.cancelled()), default=float("inf"))

    # What asyncio's own loops have, and tell nobody of.
    _ready: Any
    _scheduled: list[asyncio.TimerHandle]


class _ImpatientSelector(selectors.DefaultSelector):
    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return super().select(_THREAD_PATIENCE_SECONDS if timeout is None else min(timeout, _THREAD_PATIENCE_SECONDS))
