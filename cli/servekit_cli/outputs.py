"""Where the output of a prediction goes: text and JSON to stdout, files to files.

Without a terminal JSON is compact, one value a line, so that the next program in a pipe can read it.
"""

import json
import sys
from abc import ABC, abstractmethod
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

import msgspec

from servekit.errors import UsageError
from servekit.runtime.prediction import Status
from servekit_cli.files import FileWriter, join_place
from servekit_cli.schemas import Schema, item_schema
from servekit_cli.targets import STDOUT, Target
from servekit_cli.terminal import say

__all__ = ["Outcome", "OutputWriter", "Writer"]


class Outcome(msgspec.Struct, frozen=True):
    """How a prediction ended.

    Attributes:
        status: Its last one.
        output: As JSON; `null` if there is none.
        error: What went wrong; None if nothing did.
        metrics: What was measured and recorded.
    """

    status: Status
    output: msgspec.Raw = msgspec.Raw(b"null")
    error: str | None = None
    metrics: dict[str, Any] = {}


class Writer(ABC):
    """Shows one prediction; a context manager that closes what it writes to."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:  # noqa: B027 - not all have something to close
        """Close what it writes to."""

    @abstractmethod
    def write_item(self, data: bytes) -> None:
        """Take one item of an output that streams, when it comes."""

    @abstractmethod
    def finish(self, outcome: Outcome) -> None:
        """Take the end; that of a failure is shown by whoever raises its error."""


class OutputWriter(Writer):
    """Writes an output as it comes.

    Args:
        schema: The JSON Schema of the output.
        streams: Whether the output comes in items.
        concatenates: Whether the items are pieces of one text.
        target: What `-o` names: takes the output instead of stdout.
    """

    def __init__(self, schema: Schema, *, streams: bool, concatenates: bool, target: Target) -> None:
        self._schema = schema
        self._streams = streams
        self._concatenates = concatenates
        self._target = target if isinstance(target, Path) else None
        self._files = FileWriter(schema, self._name_file, goes_to_stdout=target == STDOUT)
        self._exits = ExitStack()
        self._sink: TextIO | None = None
        self._is_line_open = False
        self._count = 0

    def close(self) -> None:
        """Close the file, or end the line on a terminal."""
        # What a prediction wrote before it failed stays, and the message about the failure gets its own line.
        if self._is_line_open and sys.stdout.isatty():
            self._write("\n")
        self._exits.close()

    def write_item(self, data: bytes) -> None:
        """Write one item of a stream, at once."""
        value = json.loads(data)
        if self._concatenates:
            self._write(value)
        else:
            value = self._files.take_out(value, item_schema(self._schema, self._schema), (str(self._count),))
            if not FileWriter.was_file(value):
                self._write(_to_json(value, indent=None) + "\n")
        self._count += 1

    def finish(self, outcome: Outcome) -> None:
        """Write what is left when the prediction has succeeded."""
        if outcome.status is not Status.SUCCEEDED:
            return
        if not self._streams:
            self._write_whole(self._files.take_out(json.loads(bytes(outcome.output)), self._schema, ()))
        elif self._is_line_open and self._target is None:
            self._write("\n")
        if self._sink is not None and self._target is not None:
            say(f"Written output to: {self._target}")

    def _write_whole(self, value: Any) -> None:
        if FileWriter.was_file(value):
            return
        if isinstance(value, str):
            self._write(value if self._target else f"{value}\n")
        else:
            is_for_people = self._target is None and sys.stdout.isatty()
            self._write(_to_json(value, indent=2 if is_for_people else None) + "\n")

    def _name_file(self, extension: str, place: tuple[str, ...]) -> Path:
        base = self._target
        if base is None or base.is_dir():
            base = (base or Path()) / f"output{extension}"
        return base.with_name(f"{base.stem}.{join_place(place)}{extension}") if place else base

    def _write(self, text: str) -> None:
        sink = self._sink = self._sink or (sys.stdout if self._target is None else self._open(self._target))
        sink.write(text)
        sink.flush()
        if text:
            self._is_line_open = not text.endswith("\n")

    def _open(self, target: Path) -> TextIO:
        try:
            return self._exits.enter_context(target.open("w", encoding="utf-8"))
        except OSError as error:
            raise UsageError(f"{target} cannot be written: {error.strerror}.\nName another file with -o.") from error


def _to_json(value: Any, indent: int | None) -> str:
    return json.dumps(value, indent=indent, ensure_ascii=False, separators=None if indent else (",", ":"))
