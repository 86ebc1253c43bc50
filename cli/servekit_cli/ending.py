"""Ending in order when somebody else ends the process."""

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType
from typing import Final, NoReturn

__all__ = ["terminable"]

_TERMINATED: Final = 128 + signal.SIGTERM


@contextmanager
def terminable() -> Generator[None]:
    """Let SIGTERM unwind the stack while the block runs, as Ctrl-C does, so that nothing is left behind.

    Raises:
        SystemExit: SIGTERM came.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # signals come to the main thread only
        return
    before = signal.signal(signal.SIGTERM, _leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _leave(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(_TERMINATED)
