"""What Ctrl-C and SIGTERM do to a command that runs a container."""

import asyncio
import signal
import sys
from typing import Final, NoReturn, Self

__all__ = ["Interrupts"]

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """Takes note of signals while the block runs, in place of the exceptions that they are else.

    Attributes:
        first: Set by the first signal: stop in order.
        second: Set by the second one: stop at once.
    """

    def __init__(self) -> None:
        self.first = asyncio.Event()
        self.second = asyncio.Event()
        self._number: signal.Signals | None = None

    def __enter__(self) -> Self:
        for number in _SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, self._note, number)
        return self

    def __exit__(self, *error: object) -> None:
        for number in _SIGNALS:
            asyncio.get_running_loop().remove_signal_handler(number)

    @property
    def exit_code(self) -> int | None:
        """What the first signal would have ended the command with; None if there was none."""
        return None if self._number is None else 128 + self._number

    def leave(self) -> NoReturn:
        """End the command as the first signal would have ended it.

        Raises:
            KeyboardInterrupt: It was Ctrl-C.
            SystemExit: It was SIGTERM.
        """
        if self._number is signal.SIGTERM:
            sys.exit(128 + signal.SIGTERM)
        raise KeyboardInterrupt

    def _note(self, number: signal.Signals) -> None:
        if self._number is not None:
            self.second.set()
        self._number = self._number or number
        self.first.set()
