"""Where the output of a prediction goes: text and JSON to stdout, files to files.

Without a terminal JSON is compact, one value a line, so that the next program in a pipe can read it.
"""

import json
import sys
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

from servekit.errors import UsageError
from servekit_cli.files import FileWriter
from servekit_cli.schemas import Schema, item_schema
from servekit_cli.targets import Target

__all__ = ["OutputWriter"]


class OutputWriter:
    """Writes the output of one prediction; a context manager that closes the file it writes to.

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
        self._files = FileWriter(schema, target)
        self._exits = ExitStack()
        self._sink: TextIO | None = None
        self._is_line_open = False
        self._count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
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

    def finish(self, output: bytes) -> None:
        """Write what is left when the prediction has succeeded."""
        if self._streams:
            if self._is_line_open and self._target is None:
                self._write("\n")
            return
        value = self._files.take_out(json.loads(output), self._schema, ())
        if FileWriter.was_file(value):
            return
        if isinstance(value, str):
            self._write(value if self._target else f"{value}\n")
        else:
            is_for_people = self._target is None and sys.stdout.isatty()
            self._write(_to_json(value, indent=2 if is_for_people else None) + "\n")

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
