"""What people see of a command.

Results go to stdout and everything else to stderr, so that a pipe carries results only. Colours and
progress are for terminals; NO_COLOR turns colours off.
"""

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Protocol

__all__ = ["Progress", "paint", "say", "show_progress"]

_COLOURS = {"red": "31", "green": "32", "yellow": "33", "dim": "2", "bold": "1"}


class Progress(Protocol):
    """A line on the terminal that says what is going on; nothing elsewhere."""

    def update(self, text: str) -> None:
        """Say something else."""

    def write(self, text: str) -> None:
        """Write a piece of text to stderr, past the line."""

    def stop(self) -> None:
        """Take the line away, for good."""


def say(text: str) -> None:
    """Tell the user something that is no result."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def paint(text: str, colour: str) -> str:
    """Colour a text for stderr, if that is a terminal that wants colours."""
    if not sys.stderr.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m"


@contextmanager
def show_progress(text: str, *, done: str | None = None) -> Generator[Progress]:
    """Show what is going on while the block runs, if stderr is a terminal.

    Args:
        text: What is going on.
        done: For what takes minutes: elsewhere than on a terminal `text` is one line at the beginning,
            and this one at the end, so that the log of a build does not stand still without a word.
    """
    if not sys.stderr.isatty():
        if done is not None:
            say(f"{text}...")
        yield _Silence()
        if done is not None:
            say(f"{done}.")
        return
    from servekit_cli.spinner import Spinner  # noqa: PLC0415 - rich takes a tenth of a second, for a terminal only

    spinner = Spinner(text)
    try:
        yield spinner
    finally:
        spinner.stop()


class _Silence:
    def update(self, text: str) -> None:
        pass

    def write(self, text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()

    def stop(self) -> None:
        pass
