"""The steps of a build as its events tell of them; what views show and failures are explained from."""

import re
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from servekit_cli.engine.events import BuildEvent, BuildWarning, StepDone, StepLog, StepProgress, StepStarted

__all__ = ["Step", "Steps"]

_KEPT_LINES: Final = 400  # of each step's output; enough for a resolver's longest explanation

_POSITION: Final = re.compile(r"^(\[[^]]*\d+/\d+\] )+")
_INTERNAL_FROM: Final = re.compile(r"^\[internal\] load metadata for (docker\.io/(library/)?)?")


@dataclass
class Step:
    """One step, as far as it got.

    Attributes:
        number: 1 for the first that started.
        name: As the engine names it, less the flags of its mounts.
        lines: The last lines that it printed.
        progress: What it moves by now; None if nothing.
        done: How it ended; None if it runs.
    """

    number: int
    name: str
    lines: deque[str] = field(default_factory=lambda: deque[str](maxlen=_KEPT_LINES))
    progress: StepProgress | None = None
    done: StepDone | None = None

    @property
    def command(self) -> str:
        """The step as the Dockerfile has it: `RUN pip install ...`."""
        return _INTERNAL_FROM.sub("FROM ", _POSITION.sub("", self.name))

    @property
    def is_internal(self) -> bool:
        """Whether it is none of the Dockerfile's: the client and the engine get ready."""
        return self.name.startswith(("[internal]", "[auth]", "resolve image config"))


class Steps:
    """All steps of a build, by their ids, in the order in which they started.

    Attributes:
        warnings: What the engine found questionable.
    """

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self._steps: dict[str, Step] = {}

    def take(self, event: BuildEvent) -> Step | None:
        """Note one event; gives the step that it is about."""
        match event:
            case StepStarted(id_, name):
                self._steps[id_] = Step(len(self._steps) + 1, _describe(name))
                return self._steps[id_]
            case BuildWarning(text):
                self.warnings.append(text)
                return None
            case StepLog() | StepProgress() | StepDone():
                return self._note(self._steps[event.step], event)
            case _:
                return None

    @property
    def all(self) -> list[Step]:
        """The steps, in the order in which they started."""
        return list(self._steps.values())

    @property
    def failed(self) -> Step | None:
        """The step that failed; None if none did."""
        # When one fails the others are ended, and say that they were canceled.
        failed = [step for step in self._steps.values() if step.done and step.done.error]
        return min(failed, key=_is_canceled, default=None)

    @staticmethod
    def _note(step: Step, event: StepLog | StepProgress | StepDone) -> Step:
        match event:
            case StepLog():
                step.lines.append(event.line)
            case StepProgress():
                step.progress = event
            case StepDone():
                step.done = event
        return step


def _describe(name: str) -> str:
    """Leave what a reader looks for: no flags of mounts, and one line."""
    return " ".join(re.sub(r" --mount=\S+", "", name).split())


def _is_canceled(step: Step) -> bool:
    return step.done is not None and step.done.error.endswith(("context canceled", "CANCELED"))
