"""Ending in order when somebody else ends the process."""

import signal
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType
from typing import Final

__all__ = ["terminable"]

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_SAME_SECONDS: Final = 1.0
"""Chosen by feel: a hand on Ctrl-C, and a terminal that closes, send a signal more than once."""


@contextmanager
def terminable() -> Generator[None]:
    """Let SIGTERM and SIGHUP unwind the stack while the block runs, as Ctrl-C does, so that nothing is left behind.

    A signal that follows another one within a second is the same wish, and does not disturb the clean-up. A later
    one ends that, too. What is ignored outside of the block (nohup) stays so.

    Raises:
        KeyboardInterrupt: SIGINT came.
        SystemExit: SIGTERM or SIGHUP came.
    """
    if threading.current_thread() is not threading.main_thread():  # signals come to the main thread only
        yield
        return
    if isinstance(signal.getsignal(signal.SIGTERM), _Leave):  # in a block of an outer one
        yield
        return
    leave = _Leave()
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    taken = [number for number in _SIGNALS if before[number] not in {signal.SIG_IGN, None}]
    for number in taken:
        signal.signal(number, leave)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, before[number])


class _Leave:
    """The handler of all these signals."""

    def __init__(self) -> None:
        self._last: float | None = None

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._last is not None and now - self._last < _SAME_SECONDS:
            return
        self._last = now
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + number)
