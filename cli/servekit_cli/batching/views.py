"""What is seen of a job while it runs: a bar on a terminal, a line now and then elsewhere."""

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final, Protocol

from servekit_cli.batching.pace import Pace
from servekit_cli.terminal import say

__all__ = ["JobView", "show_job"]

_BAR_SECONDS: Final = 0.2
_LINE_SECONDS: Final = 10.0


class JobView(Protocol):
    """Shows how a job goes."""

    def advance(self, *, is_success: bool) -> None:
        """One more row has ended."""

    def write(self, text: str) -> None:
        """Write a piece of text to stderr, past the bar."""


class _Lines:
    """For logs."""

    def __init__(self, pace: Pace, *, is_quiet: bool) -> None:
        self.advance = pace.advance
        self._pace = pace
        self._is_quiet = is_quiet

    def write(self, text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()

    async def keep_up(self) -> None:
        while not self._is_quiet:
            await asyncio.sleep(_LINE_SECONDS)
            say(self._pace.describe())


class _Bar:
    """For a person at a terminal."""

    def __init__(self, pace: Pace) -> None:
        # rich takes a tenth of a second, for a terminal only.
        from rich.console import Console  # noqa: PLC0415
        from rich.progress import BarColumn, Progress, TextColumn  # noqa: PLC0415

        self.advance = pace.advance
        self._pace = pace
        self._console = Console(stderr=True)
        self._bar = Progress(BarColumn(), TextColumn("{task.description}"), console=self._console, auto_refresh=False)
        self._task = self._bar.add_task("", total=pace.total)

    def write(self, text: str) -> None:
        self._console.print(text.rstrip("\n"), markup=False, highlight=False, emoji=False, soft_wrap=True)

    async def keep_up(self) -> None:
        with self._bar:
            try:
                while True:
                    self._show()
                    await asyncio.sleep(_BAR_SECONDS)
            finally:
                self._show()

    def _show(self) -> None:
        self._bar.update(self._task, completed=self._pace.ended, description=self._pace.describe(), refresh=True)


@asynccontextmanager
async def show_job(pace: Pace, *, is_quiet: bool) -> AsyncGenerator[JobView]:
    """Show how a job goes while the block runs.

    Args:
        pace: What is shown.
        is_quiet: Whether to be silent.
    """
    view = _Bar(pace) if sys.stderr.isatty() and not is_quiet else _Lines(pace, is_quiet=is_quiet)
    showing = asyncio.create_task(view.keep_up())
    try:
        yield view
    finally:
        showing.cancel()
        await asyncio.wait({showing})
