"""The signals that a server minds: two end it, the first politely and the second at once; one brings new code."""

import asyncio
import os
import signal
from typing import Self

__all__ = ["Signals"]

_STDIN = 0


class Signals:
    """Minds SIGINT, SIGTERM and SIGHUP, and requests of our own making.

    To a server in a terminal SIGHUP says that the terminal was closed, so there it asks to stop.

    Args:
        minds_sigterm: Whether SIGTERM asks to stop; else it is ignored.

    Attributes:
        first: Set when the server should finish what it has and stop.
        second: Set when it should stop at once.
        reload: Set when it should load the predictor's code anew; to be cleared by who does so.
    """

    def __init__(self, *, minds_sigterm: bool = True) -> None:
        self.first = asyncio.Event()
        self.second = asyncio.Event()
        self.reload = asyncio.Event()
        # To be asked now: a terminal that was closed is none any more.
        on_hangup = self._on_stop if os.isatty(_STDIN) else self.reload.set
        on_sigterm = self._on_stop if minds_sigterm else _ignore
        self._handlers = {signal.SIGINT: self._on_stop, signal.SIGTERM: on_sigterm, signal.SIGHUP: on_hangup}

    def __enter__(self) -> Self:
        for number, handler in self._handlers.items():
            asyncio.get_running_loop().add_signal_handler(number, handler)
        return self

    def __exit__(self, *error: object) -> None:
        for number in self._handlers:
            asyncio.get_running_loop().remove_signal_handler(number)

    def request(self) -> None:
        """Ask to stop politely; asking again changes nothing."""
        self.first.set()

    def _on_stop(self) -> None:
        if self.first.is_set():
            self.second.set()
        self.first.set()


def _ignore() -> None:
    """Take a signal and do nothing: one that the system ignored would be ignored by the workers as well."""
