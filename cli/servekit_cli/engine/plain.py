"""Read what docker clients without JSON reports write with `--progress=plain`."""

import re
from collections.abc import Iterator
from typing import Final

from servekit_cli.engine.events import BuildEvent, StepDone, StepLog, StepStarted

__all__ = ["PlainReader"]

_LINE: Final = re.compile(r"#(\d+) (.*)")
_DONE: Final = re.compile(r"DONE (\d+\.\d+)s")
_LOG: Final = re.compile(r"\d+\.\d+ ?(.*)")


class PlainReader:
    """Turns lines into events.

    A line belongs to the step whose number it begins with; the first one of a step is its name, and so is
    each one with which the client comes back to a step after lines of another.

    Attributes:
        rest: Lines of no step: at the end, why the build failed.
    """

    def __init__(self) -> None:
        self.rest: list[str] = []
        self._names: dict[str, str] = {}

    def read(self, line: str) -> Iterator[BuildEvent]:
        """Give the events of one line."""
        found = _LINE.fullmatch(line)
        if found is None:
            if line.strip():
                self.rest.append(line)
            return
        step, text = found.groups()
        if step not in self._names:
            self._names[step] = text
            yield StepStarted(step, text)
        elif done := _DONE.fullmatch(text):
            yield StepDone(step, seconds=float(done[1]))
        elif text == "CACHED":
            yield StepDone(step, is_cached=True)
        elif text.startswith("ERROR: "):
            yield StepDone(step, error=text.removeprefix("ERROR: "))
        elif text != self._names[step] and (log := _LOG.fullmatch(text)):
            yield StepLog(step, log[1])
