"""The live view of a build: what is done scrolls away, what runs stays below with its last lines."""

import sys
import time
from dataclasses import dataclass, field
from typing import Final, Self

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.text import Text

from servekit_cli.engine.events import BuildEvent, BuildWarning, StepDone, StepProgress
from servekit_cli.engine.steps import Step

__all__ = ["LiveView"]

_LOG_LINES: Final = 5
_REFRESHES_PER_SECOND: Final = 10
_MEGABYTE: Final = 1e6


class LiveView:
    """Shows a build on a terminal.

    Args:
        console: Where to; None for stderr.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(file=sys.stderr, highlight=False)
        self._live: Live | None = None
        self._running: dict[int, _Running] = {}

    def __enter__(self) -> Self:
        self._running = {}
        self._live = Live(
            self, console=self._console, refresh_per_second=_REFRESHES_PER_SECOND, transient=True, redirect_stdout=False
        )
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, event: BuildEvent, step: Step | None) -> None:
        """Take in what happened; the terminal follows a few times a second."""
        if isinstance(event, BuildWarning):
            self._console.print(Text(f"warning: {event.text}", "yellow"))
        elif step is None:
            return
        elif isinstance(event, StepDone):
            # A base image ends twice: once when it is found, and again when it is here.
            was_running = self._running.pop(step.number, None) is not None
            if event.error or (was_running and not step.is_internal):
                self._console.print(_ended(step, event, self._console.width))
        else:
            self._running.setdefault(step.number, _Running(step))

    def tell(self, text: str) -> None:
        """Print it above what runs."""
        self._console.print(Text(text))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw what runs now."""
        for running in list(self._running.values()):
            yield from running.draw(options.max_width)


@dataclass
class _Running:
    step: Step
    since: float = field(default_factory=time.monotonic)

    def draw(self, width: int) -> RenderResult:
        seconds = time.monotonic() - self.since
        if self.step.is_internal and seconds < 1:
            return
        amount = f"  {_amount(self.step.progress)}" if self.step.progress else ""
        yield _row(("● ", "cyan"), self.step.name, f"  {seconds:.0f} s{amount}", width)
        for line in list(self.step.lines)[-_LOG_LINES:]:
            yield _row(("    ", ""), Text(line.expandtabs(), "dim"), "", width)


def _ended(step: Step, done: StepDone, width: int) -> Text:
    if done.error:
        return _row(("✗ ", "red"), step.name, "", width)
    if done.is_cached:
        return _row(("✓ ", "green"), Text(step.name, "dim"), "  cached", width)
    return _row(("✓ ", "green"), step.name, f"  {done.seconds:.1f} s" if done.seconds else "", width)


def _amount(progress: StepProgress) -> str:
    moved = f"{progress.current / _MEGABYTE:.1f}"
    return f"{moved}/{progress.total / _MEGABYTE:.1f} MB" if progress.total else f"{moved} MB"


def _row(mark: tuple[str, str], middle: Text | str, end: str, width: int) -> Text:
    """Put a line together; what is too long is cut in its middle part."""
    text = middle.copy() if isinstance(middle, Text) else Text(middle)
    text.truncate(max(1, width - len(mark[0]) - len(end)), overflow="ellipsis")
    return Text.assemble(mark, text, (end, "dim"))
