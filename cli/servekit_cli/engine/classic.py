"""Read what the engine's old builder, and Podman's, say while they build."""

import re
from collections.abc import Iterator
from typing import Any, Final

from servekit_cli.engine.events import BuildEvent, StepDone, StepLog, StepProgress, StepStarted
from servekit_cli.engine.status import LineSplitter

__all__ = ["ClassicReader"]

# Podman puts the stage's number before the step's, if there are several stages.
_STEP: Final = re.compile(r"(\[\d+/\d+\] )?(?:Step|STEP) (\d+/\d+) ?: (.*)", re.DOTALL)
_CACHED: Final = re.compile(r" ---> Using cache|--> Using cache")
_COMMIT: Final = re.compile(r"(\[\d+/\d+\] )?COMMIT")
_REMARK: Final = re.compile(r" ---> |--> |Removing intermediate container ")


class ClassicReader:
    """Turns messages into events. The steps come one after another, so the next one ends the one before."""

    def __init__(self) -> None:
        self._step: str | None = None
        self._is_name_over = False
        self._is_cached = False
        self._lines = LineSplitter()

    def read(self, message: dict[str, Any]) -> Iterator[BuildEvent]:
        """Give the events of one message."""
        if "stream" in message:
            yield from self._read_text(str(message["stream"]))
        elif "progressDetail" in message and self._step:
            detail: dict[str, int] = message["progressDetail"] or {}
            what = f"{message.get('status', '')} {message.get('id', '')}"
            yield StepProgress(self._step, what, detail.get("current", 0), detail.get("total", 0))
        elif "error" in message:
            yield from self._end_step(str(message["error"]).strip())
        elif "aux" in message:
            yield from self._end_step()

    def _read_text(self, text: str) -> Iterator[BuildEvent]:
        if found := _STEP.match(text):
            yield from self._end_step()
            stage, number, command = found.groups(default="")
            self._step, self._is_name_over = stage + number, text.endswith("\n")
            yield StepStarted(stage + number, f"{stage}[{number}] {command.strip()}")
        elif text == "\n" and not self._is_name_over:
            self._is_name_over = True
        elif _CACHED.match(text):
            self._is_cached = True
        elif _COMMIT.match(text):
            yield from self._end_step()
        elif self._step and not _REMARK.match(text):
            yield from (StepLog(self._step, line) for line in self._lines.feed(text.encode()))

    def _end_step(self, error: str = "") -> Iterator[BuildEvent]:
        step, is_cached = self._step, self._is_cached
        if step is None:
            return
        yield from (StepLog(step, line) for line in self._lines.end())
        self._step, self._is_cached, self._lines = None, False, LineSplitter()
        yield StepDone(step, is_cached=is_cached, error=error)
