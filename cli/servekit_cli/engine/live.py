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
    """Shows a build on a terminal."""

    def __init__(self) -> None:
        self._console = Console(file=sys.stderr, highlight=False)
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
                self._console.print(_ended(step, event), soft_wrap=False, overflow="ellipsis", no_wrap=True)
        else:
            self._running.setdefault(step.number, _Running(step))

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
        head = Text.assemble(("● ", "cyan"), self.step.name, (f"  {seconds:.0f} s", "dim"))
        if progress := self.step.progress:
            head.append(f"  {_amount(progress)}", "dim")
        yield _fit(head, width)
        for line in list(self.step.lines)[-_LOG_LINES:]:
            yield _fit(Text(f"    {line.expandtabs()}", "dim"), width)


def _ended(step: Step, done: StepDone) -> Text:
    if done.error:
        return Text.assemble(("✗ ", "red"), step.name)
    mark = ("✓ ", "green")
    if done.is_cached:
        return Text.assemble(mark, (step.name, "dim"), ("  cached", "dim"))
    took = f"  {done.seconds:.1f} s" if done.seconds else ""
    return Text.assemble(mark, step.name, (took, "dim"))


def _amount(progress: StepProgress) -> str:
    moved = f"{progress.current / _MEGABYTE:.1f}"
    return f"{moved}/{progress.total / _MEGABYTE:.1f} MB" if progress.total else f"{moved} MB"


def _fit(text: Text, width: int) -> Text:
    text.truncate(width, overflow="ellipsis")
    return text
