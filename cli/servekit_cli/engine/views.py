"""What a user sees of a build."""

import os
import sys
from types import TracebackType
from typing import Final, Literal, Protocol, Self, assert_never

from servekit_cli.engine.events import BuildEvent, BuildWarning, StepDone, StepLog, StepStarted
from servekit_cli.engine.steps import Step
from servekit_cli.terminal import say

__all__ = ["BuildView", "PlainView", "ProgressKind", "QuietView", "make_view"]

ProgressKind = Literal["auto", "plain", "tty", "quiet"]


class BuildView(Protocol):
    """Shows a build; entered when it begins and left when it ends, however that is. May be used again."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None: ...

    def show(self, event: BuildEvent, step: Step | None) -> None:
        """Show what happened.

        Args:
            event: What happened.
            step: The step that it is about, the event included.
        """

    def tell(self, text: str) -> None:
        """Say what goes on beside the steps, before or after them."""


def make_view(kind: ProgressKind) -> BuildView:
    """Make the view that a user wants to see; `auto` is live on a terminal and plain elsewhere."""
    match kind:
        case "quiet":
            return QuietView()
        case "plain":
            return PlainView()
        case "tty":
            return _live()
        case "auto":
            is_live = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
            return _live() if is_live else PlainView()
        case _:
            assert_never(kind)


def _live() -> BuildView:
    from servekit_cli.engine.live import LiveView  # noqa: PLC0415 - rich takes a tenth of a second

    return LiveView()


class QuietView:
    """Shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, event: BuildEvent, step: Step | None) -> None:
        """Show nothing."""

    def tell(self, text: str) -> None:
        """Say nothing."""


class PlainView:
    """Lines, for logs of CI: each step's beginning, output and end, with its number before each line."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, event: BuildEvent, step: Step | None) -> None:
        """Write a line, if the event is worth one."""
        if isinstance(event, BuildWarning):
            say(f"warning: {event.text}")
        elif step is not None and not step.is_internal and (text := _line(event, step)):
            say(f"#{step.number} {text}")

    def tell(self, text: str) -> None:
        """Write a line."""
        say(text)


def _line(event: BuildEvent, step: Step) -> str | None:
    match event:
        case StepStarted():
            return step.name
        case StepLog(_, line):
            return line
        case StepDone(error=error) if error:
            return f"failed: {error}"
        case StepDone(is_cached=True):
            return "cached"
        case StepDone(seconds=seconds) if seconds and seconds >= _WORTH_TELLING_SECONDS:
            return f"done in {seconds:.1f} s"
        case _:
            return None


_WORTH_TELLING_SECONDS: Final = 0.1
