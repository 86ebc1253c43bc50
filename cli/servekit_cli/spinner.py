"""A line on the terminal that says what is going on, below whatever else is written meanwhile."""

import sys

from rich.console import Console
from rich.markup import escape

__all__ = ["Spinner"]


class Spinner:
    """Shows a text, with a sign that it goes on, until it is stopped."""

    def __init__(self, text: str) -> None:
        self._console = Console(stderr=True)
        self._status = self._console.status(escape(f"{text}..."))
        self._unfinished_line = ""
        self._is_running = True
        self._status.start()

    def update(self, text: str) -> None:
        """Say something else."""
        self._status.update(escape(f"{text}..."))

    def write(self, text: str) -> None:
        """Write above the line. What has no end of line yet waits for it, as the line below would cover it."""
        if not self._is_running:
            sys.stderr.write(text)
            sys.stderr.flush()
            return
        whole, newline, self._unfinished_line = (self._unfinished_line + text).rpartition("\n")
        if newline:
            self._console.print(whole, markup=False, highlight=False, emoji=False, soft_wrap=True)

    def stop(self) -> None:
        """Take the line away, for good."""
        if self._is_running:
            self._is_running = False
            self._status.stop()
            sys.stderr.write(self._unfinished_line)
            sys.stderr.flush()
