"""Raising `CancelationError` in a thread that runs an author's code, and nowhere else.

CPython can plant an exception in another thread (`PyThreadState_SetAsyncExc`); it is raised there
at one of the next jumps or calls. Guarantee: it is planted only between `enter` and `leave`, and
`leave` returns with none left over. So it can neither hit the pool's own code nor the next
prediction. Our own steps in between that must not be torn apart (posting a message) go through
`shielded`. A thread that waits in C (`time.sleep`, a CUDA call) gets it when that call returns.

A planted exception is never taken back but waited for: CPython 3.11 keeps its "look here" flag set
for the whole interpreter when one is replaced by nothing, which slows down every thread from then on.
"""

import ctypes
import functools
import threading
from collections.abc import Callable
from typing import TypeVar

from servekit.errors import CancelationError
from servekit.threads.undisturbed import plant_between_starts

__all__ = ["ThreadInterrupt"]

_T = TypeVar("_T")
_HOME = CancelationError.__module__

_set_async_exc = ctypes.pythonapi.PyThreadState_SetAsyncExc
_set_async_exc.argtypes = (ctypes.c_ulong, ctypes.py_object)
_set_async_exc.restype = ctypes.c_int

_JUMPS = 1000
"""A planted exception strikes at the first jump. If it has not after so many, something has swallowed it unseen."""


class ThreadInterrupt:
    """The right to interrupt one piece of work in whatever thread it runs."""

    __slots__ = ("_lock", "_pending", "_requested", "_thread")

    def __init__(self) -> None:
        # May be taken again by its holder: a step may make Python collect garbage, and what a finalizer prints is
        # a shielded step as well.
        self._lock = threading.RLock()
        self._thread: int | None = None
        self._requested = False
        self._pending = False  # planted, and not raised yet as far as can be known

    def enter(self) -> None:
        """Allow interruption of the calling thread from here on.

        Raises:
            CancelationError: The interruption was asked for before the work began.
        """
        with self._lock:
            if self._requested:
                raise CancelationError
            self._thread = threading.get_ident()

    def leave(self) -> None:
        """End it. A `CancelationError` that is on its way, or strikes in here, is absorbed."""
        while True:
            try:
                with self._lock:
                    self._thread = None
                self._be_struck()
            except CancelationError:
                continue
            return

    def shielded(self, step: Callable[[_T], None], argument: _T) -> None:
        """Call `step(argument)` so that no interruption can strike inside it. A step may make another one.

        Raises:
            CancelationError: The interruption was under way; the step was not made. The author's clean-up code
                after it makes its steps as ever.
        """
        if self._thread != threading.get_ident():
            step(argument)
            return
        with self._lock:  # while it is held nothing new is planted
            self._be_struck()
            step(argument)

    def interrupt(self) -> None:
        """Ask the work to stop. A second call plants a second exception, should the first have been swallowed."""
        with self._lock:
            self._requested = True
            if self._thread is not None:
                self._pending = True
                plant_between_starts(functools.partial(_set_async_exc, self._thread, self._make_exception()))

    def _make_exception(self) -> type[CancelationError]:
        """Return a class whose instance tells that it was raised: Python makes one when it raises a planted class."""

        def tell(_error: BaseException) -> None:
            self._pending = False

        return type(CancelationError.__name__, (CancelationError,), {"__init__": tell, "__module__": _HOME})

    def _be_struck(self) -> None:
        """Let what was planted in this thread strike now."""
        for _ in range(_JUMPS):
            if not self._pending:
                return
        self._pending = False
