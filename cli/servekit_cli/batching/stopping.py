"""The wish that no further rows are begun, between the loop, which has it, and the thread that reads rows."""

import io
import os
import select
from collections.abc import Callable
from typing import Final

__all__ = ["Stop", "StoppableStream"]

_LOOK_SECONDS: Final = 0.2


class Stop:
    """Asked for at most once.

    Attributes:
        reason: Why, for the user; None as long as nobody has asked.
        on_ask: Called when somebody asks, on the loop.
    """

    def __init__(self) -> None:
        self.reason: str | None = None
        self.on_ask: Callable[[], None] | None = None

    @property
    def is_asked(self) -> bool:
        """Whether no further rows are to be begun."""
        return self.reason is not None

    def ask(self, reason: str) -> None:
        """Ask for it; the first reason stays."""
        self.reason = self.reason or reason
        if self.on_ask is not None:
            self.on_ask()


class StoppableStream(io.RawIOBase):
    """A stream such as stdin, which may wait for ever for somebody to write; it is at its end when that is asked for.

    Args:
        descriptor: What is read; not closed from here.
        stop: Says when.
    """

    def __init__(self, descriptor: int, stop: Stop) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._stop = stop

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override] # pyright: ignore[reportIncompatibleMethodOverride] # what a buffered reader passes
        """Read what there is, and wait if there is nothing."""
        while not self._stop.is_asked:
            ready, _, _ = select.select([self._descriptor], [], [], _LOOK_SECONDS)
            if ready:
                return os.readv(self._descriptor, [buffer])
        return 0
