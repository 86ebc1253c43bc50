"""Raising `CancelationError` in a thread that runs an author's code, and nowhere else.

CPython can plant an exception in another thread (`PyThreadState_SetAsyncExc`); it is raised there
at one of the next bytecodes. Guarantee: it is planted only between `enter` and `leave`, and `leave`
returns with none left over. So it can neither hit the pool's own code nor the next prediction.
Our own steps in between that must not be torn apart (posting a message) go through `shielded`.
A thread that waits in C (`time.sleep`, a CUDA call) gets it when that call returns.
"""

import ctypes
import threading
from collections.abc import Callable
from typing import TypeVar

from servekit.errors import CancelationError

__all__ = ["ThreadInterrupt"]

_T = TypeVar("_T")

_set_async_exc = ctypes.pythonapi.PyThreadState_SetAsyncExc
_set_async_exc.argtypes = (ctypes.c_ulong, ctypes.py_object)
_set_async_exc.restype = ctypes.c_int

_clear_async_exc = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_ulong, ctypes.c_void_p)(
    ("PyThreadState_SetAsyncExc", ctypes.pythonapi),
)


class ThreadInterrupt:
    """The right to interrupt one piece of work in whatever thread it runs."""

    __slots__ = ("_lock", "_requested", "_thread")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: int | None = None
        self._requested = False

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
        """End it. A `CancelationError` on its way is taken back; one that strikes in here is absorbed."""
        while True:
            try:
                with self._lock:
                    thread, self._thread = self._thread, None
                    if thread is not None and self._requested:
                        _clear_async_exc(thread, None)
            except CancelationError:
                continue
            return

    def shielded(self, step: Callable[[_T], None], argument: _T) -> None:
        """Call `step(argument)` so that no interruption can strike inside it.

        Raises:
            CancelationError: The interruption was asked for; the step was not made.
        """
        if self._thread != threading.get_ident():
            step(argument)
            return
        with self._lock:
            # While the lock is held nothing new is planted; what was planted before is taken back here.
            if self._requested:
                _clear_async_exc(threading.get_ident(), None)
                raise CancelationError
            step(argument)

    def interrupt(self) -> None:
        """Ask the work to stop. A second call plants a second exception, should the first have been swallowed."""
        with self._lock:
            self._requested = True
            if self._thread is not None:
                _set_async_exc(self._thread, CancelationError)
