"""The thread's side of the bridge: it steps an iterable and leaves the items where the consumer finds them.

Both sides share a deque and a few flags, and no lock that one of them could leave behind. Two rules:

- *No wake-up is lost.* Who is about to wait first raises its flag, then looks once more at what it waits for;
  the other side first changes that, then looks at the flag. So one of them sees the other. A wake-up too
  many is harmless, because whoever wakes looks again.
- *The consumer always learns of the end*, whatever strikes this thread at whatever bytecode, such as a
  `CancelationError` planted by another thread. Shared state changes in single C calls only, and what is to
  be done after the iterable (close it, leave, tell the end) is repeated until it is done.

The loop is called only when the consumer is idle. So one wake-up carries everything that was produced since the
last one, and an item costs an append and a look at some flags.
"""

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextvars import Context
from typing import Generic, TypeVar

from servekit.errors import CancelationError

__all__ = ["Producer"]

_T = TypeVar("_T")

_HAND_OVER_TIMEOUT = 0.002
"""Seconds to wait at most for an idle consumer to take an item. By feel; on an idle loop it takes about 0.1 ms."""

_HAND_OVER_EVERY = 0.02
"""Seconds between such waits, so that they cost 10 % of the time at the very worst and 0.5 % as a rule."""

_LOOK_FOR_LOOP_EVERY = 0.25
"""Seconds between two looks, while there is no room, at whether the loop was closed: nobody else would tell."""

_MAX_FAILURES = 4
"""How often closing, leaving and telling are tried again when something strikes them that is no `Exception`."""


class Producer(Generic[_T]):
    """One run of an iterable in a thread.

    Attributes:
        items: What was produced and not taken. The consumer takes from the left.
        idle: The consumer waits for items, and wants to be woken. So it does before the first.
        is_woken: While it was idle, something that was put has woken it. The next item hands over all the same.
        full: The producer waits for room, and wants the gate opened.
        ended: Nothing comes after what is in `items` when this is seen.
        error: What ended it.
        error_in_close: Whether `error` came up only after the iterable was to be closed.
    """

    def __init__(
        self,
        source: Callable[[], Iterable[_T]],
        context: Context,
        limit: int,
        on_enter: Callable[[], object] | None,
        on_leave: Callable[[], object] | None,
    ) -> None:
        self._source = source
        self._context = context
        self._limit = limit
        self._on_enter = on_enter
        self._on_leave = on_leave
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake: Callable[[], None] | None = None
        self._iterator: Iterator[_T] | None = None

        self.items: deque[_T] = deque()
        self.idle = True
        self.is_woken = False
        self.full = False
        self.ended = False
        self.error: BaseException | None = None
        self.error_in_close = False

        self._stopped = False
        # Shut means taken. Only this thread waits at it, with a time limit; anybody may open it at any time.
        self._gate = threading.Lock()
        self._gate.acquire()
        self._next_pause = 0.0
        self._begun = False
        self._stage = 0
        self._failures = 0

    # ------------------------------------------------------------------ for the consumer

    def attach(self, loop: asyncio.AbstractEventLoop, wake: Callable[[], None]) -> None:
        """Name the loop, and what to call in it when there is something for the consumer; before `run`."""
        self._loop = loop
        self._wake = wake

    def make_room(self) -> None:
        """Let a producer that waits for room go on."""
        if self.full:
            self.full = False
            self.open_gate()

    def open_gate(self) -> None:
        """End whatever wait the producer is in; it looks again at what it waits for."""
        if self._gate.locked():
            with contextlib.suppress(RuntimeError):  # another thread was faster
                self._gate.release()

    def stop(self) -> None:
        """Have the iterable closed at its next item; callable from any thread."""
        self._stopped = True
        self.open_gate()

    @property
    def is_stopped(self) -> bool:
        """Whether it was asked to stop, or found its loop closed."""
        return self._stopped

    def end_without_run(self, error: BaseException | None) -> None:
        """Take note that the thread never came to run this."""
        self.error = error
        self._tell_end()

    # ------------------------------------------------------------------ in the thread

    def put(self, item: _T) -> None:
        """Leave an item between those of the iterable, from inside a step of it. It does not wait for room."""
        self.items.append(item)
        if self.idle and not self.is_woken:
            self.is_woken = True  # or else each of many would wake the consumer until that comes to run
            self._call_loop()

    def run(self) -> None:
        """Work off the stages; what strikes beside the `try` around each of them is caught here.

        The inner loop is a function of its own because from Python 3.12 on a loop's jump back, where an exception
        may well strike, is not covered by a `try` around the loop in the same function.
        """
        stages = (self._produce, self._close, self._leave, self._tell_end)
        while self._stage < len(stages):
            try:
                self._work_off_all(stages)
            except BaseException as error:  # noqa: BLE001 - the consumer gets it
                self._note(error, self._stage)

    def _work_off_all(self, stages: tuple[Callable[[], None], ...]) -> None:
        while self._stage < len(stages):
            self._work_off(self._stage, stages[self._stage])

    def _work_off(self, number: int, stage: Callable[[], None]) -> None:
        # Only absolute values are assigned: whatever is struck and repeated leads to the same state.
        failures = self._failures
        try:
            stage()
            self._stage = number + 1
        except BaseException as error:  # noqa: BLE001 - the border to the author's code; the consumer gets it
            self._note(error, number)
            self._failures = failures + 1
            if number == 0 or isinstance(error, Exception) or failures == _MAX_FAILURES:
                self._stage = number + 1

    def _note(self, error: BaseException, number: int) -> None:
        """Keep the first error for the consumer; what closing raised counts for more than a mere cancelation."""
        if number > 0 and isinstance(error, CancelationError):
            return  # too late: there is nothing left to cancel
        if self.error is None or (number > 0 and isinstance(self.error, CancelationError)):
            self.error_in_close = number > 0
            self.error = error
        elif error is not self.error:
            self.error.add_note(f"Closing failed as well: {type(error).__name__}: {error}")

    def _produce(self) -> None:
        if self._begun:
            return
        self._begun = True
        if self._on_enter is not None:
            self._on_enter()
        if self._stopped:
            raise CancelationError
        self._context.run(self._pump)

    def _pump(self) -> None:
        assert self._loop is not None
        is_closed = self._loop.is_closed
        limit = self._limit
        items = self.items
        iterator = self._iterator = iter(self._source())
        # map takes an item and stores it in one step: nothing from outside can strike in between and lose
        # it, and no variable here keeps it alive.
        for _ in map(items.append, iterator):
            if self.idle:
                self._hand_over()
            if limit and len(items) >= limit:
                self._wait_for_room()
            if self._stopped or is_closed():
                raise CancelationError
        self._iterator = None

    def _hand_over(self) -> None:
        """Wake the consumer, and now and then pause until it has taken the item and come back.

        A thread that goes on at once keeps the interpreter for the switch interval of 5 ms, and the item
        lies for as long. The pause is made for the first item, and for one after a while.
        """
        self.idle = False
        self._gate.acquire(blocking=False)  # an opening from before does not count
        self._call_loop()
        if time.monotonic() >= self._next_pause:
            self._gate.acquire(timeout=_HAND_OVER_TIMEOUT)
            self._next_pause = time.monotonic() + _HAND_OVER_EVERY

    def _wait_for_room(self) -> None:
        while not self._may_go_on():
            self.full = True
            if not self._may_go_on():
                self._gate.acquire(timeout=_LOOK_FOR_LOOP_EVERY)

    def _may_go_on(self) -> bool:
        assert self._loop is not None
        return len(self.items) < self._limit or self._stopped or self._loop.is_closed()

    def _close(self) -> None:
        close = getattr(self._iterator, "close", None)
        if close is not None:
            self._context.run(close)
        self._iterator = None

    def _leave(self) -> None:
        if self._on_leave is not None:
            self._on_leave()

    def _tell_end(self) -> None:
        self.ended = True
        self._call_loop()

    def _call_loop(self) -> None:
        assert self._loop is not None
        assert self._wake is not None
        try:
            self._loop.call_soon_threadsafe(self._wake)
        except RuntimeError:  # the loop was closed; nobody is left to take an item
            self._stopped = True
