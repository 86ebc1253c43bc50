"""The two signals that end a server: the first politely, the second at once."""

import asyncio
import signal
from typing import Self

__all__ = ["StopSignals"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopSignals:
    """Counts requests to stop: SIGINT, SIGTERM, and those of our own making.

    Attributes:
        first: Set when the server should finish what it has and stop.
        second: Set when it should stop at once.
    """

    def __init__(self) -> None:
        self.first = asyncio.Event()
        self.second = asyncio.Event()

    def __enter__(self) -> Self:
        for number in _SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, self._on_signal)
        return self

    def __exit__(self, *error: object) -> None:
        for number in _SIGNALS:
            asyncio.get_running_loop().remove_signal_handler(number)

    def request(self) -> None:
        """Ask to stop politely; asking again changes nothing."""
        self.first.set()

    def _on_signal(self) -> None:
        if self.first.is_set():
            self.second.set()
        self.first.set()
