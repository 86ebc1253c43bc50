"""Starting threads in a thread in which exceptions may be planted.

`PyThreadState_SetAsyncExc` finds a thread by its number. Up to CPython 3.11 a thread that is being started bears its
starter's number for a moment, and is found in its place: it dies before it has begun, and its starter waits for it
for ever. And on any version, what strikes in the middle of `Thread.start` leaves a lock taken.
So whoever starts a thread does it in here, and whoever plants an exception waits until that is over.
"""

import threading
from collections.abc import Callable
from typing import Final, TypeVar

__all__ = ["plant_between_starts", "start_undisturbed"]

_T = TypeVar("_T")

_PATIENCE_SECONDS: Final = 0.05
"""A start takes a fraction of it; but a loaded machine may be slow at it, and an event loop must not be held up."""

_starting = threading.RLock()


def start_undisturbed(start: Callable[[], _T]) -> _T:
    """Call what starts a thread, and does nothing that takes long; what was planted before strikes before it."""
    with _starting:
        for _ in range(2):  # what was planted before strikes at a jump
            pass
        return start()


def plant_between_starts(plant: Callable[[], object]) -> None:
    """Call what plants an exception in another thread, while that starts none."""
    is_quiet = _starting.acquire(timeout=_PATIENCE_SECONDS)
    try:
        plant()
    finally:
        if is_quiet:
            _starting.release()
