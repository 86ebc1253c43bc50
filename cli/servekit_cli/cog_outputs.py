"""Outputs as Cog's users know them: what their scripts read from stdout, and the names of the files.

Text is printed plainly and everything else as JSON over several lines, also in a pipe. An output that comes in
items is one JSON list.
"""

import json
import sys
from pathlib import Path
from typing import Any

from servekit.errors import UsageError
from servekit.runtime.prediction import Status
from servekit_cli.files import FileWriter, join_place
from servekit_cli.outputs import Outcome, Writer
from servekit_cli.schemas import Schema, accepted_kinds, is_file, item_schema
from servekit_cli.targets import STDOUT, Target
from servekit_cli.terminal import say

__all__ = ["CogOutputWriter", "PredictionWriter"]


class CogOutputWriter(Writer):
    """Writes an output when it is there as a whole; its files as they come.

    Args:
        schema: The JSON Schema of the output.
        streams: Whether the output comes in items.
        target: What `-o` names; for files it may lack their extension.
    """

    def __init__(self, schema: Schema, *, streams: bool, target: Target) -> None:
        self._schema = schema
        self._target = target if isinstance(target, Path) else None
        base = _resolve(self._target, "output")
        self._output = _Collected(schema, streams=streams, base=base, goes_to_stdout=target == STDOUT)

    def write_item(self, data: bytes) -> None:
        """Write its files, and keep the rest."""
        self._output.add(data)

    def finish(self, outcome: Outcome) -> None:
        """Write the output when the prediction has succeeded."""
        if outcome.status is not Status.SUCCEEDED:
            return
        value = self._output.value(outcome)
        if value is None:
            say("No output generated")
        elif not self._is_written(value):
            _place(self._format(value), self._target)

    def _is_written(self, value: Any) -> bool:
        if value == [] and is_file(item_schema(self._schema, self._schema), self._schema):
            return True
        return FileWriter.was_file(value)

    def _format(self, value: Any) -> str:
        is_text = not accepted_kinds(self._schema, self._schema).isdisjoint({"string", "file"})
        return value if isinstance(value, str) and is_text else _lay_out(value)


class PredictionWriter(Writer):
    """Writes the whole prediction as JSON, whether or not it succeeded, with the paths of its files.

    Args:
        schema: The JSON Schema of the output.
        streams: Whether the output comes in items.
        target: What `-o` names, for the JSON; the files are called like it but for its extension.
    """

    def __init__(self, schema: Schema, *, streams: bool, target: Target) -> None:
        self._target = _resolve(target, "output.json") if isinstance(target, Path) else None
        base = Path("output") if self._target is None else self._target.with_suffix("")
        self._output = _Collected(schema, streams=streams, base=base, taken=self._target)

    def write_item(self, data: bytes) -> None:
        """Write its files, and keep the rest."""
        self._output.add(data)

    def finish(self, outcome: Outcome) -> None:
        """Write the prediction."""
        prediction: dict[str, Any] = {
            "status": outcome.status,
            "output": self._output.value(outcome),
            "error": outcome.error or "",
        }
        if outcome.metrics:
            prediction["metrics"] = outcome.metrics
        _place(_lay_out(prediction), self._target)


class _Collected:
    """An output whose files are written as they come, and whose rest is kept to its end.

    Args:
        schema: The JSON Schema of the output.
        streams: Whether the output comes in items.
        base: What the files are called, with or without their extension.
        goes_to_stdout: Whether its file is written there instead.
        taken: The one name that no file may have.
    """

    def __init__(
        self, schema: Schema, *, streams: bool, base: Path, goes_to_stdout: bool = False, taken: Path | None = None
    ) -> None:
        self._schema = schema
        self._streams = streams
        self._base = base
        self._taken = taken
        self._files = FileWriter(schema, self._name_file, goes_to_stdout=goes_to_stdout)
        self._items: list[Any] = []

    def add(self, data: bytes) -> None:
        item = item_schema(self._schema, self._schema)
        self._items.append(self._files.take_out(json.loads(data), item, (str(len(self._items)),)))

    def value(self, outcome: Outcome) -> Any:
        return (
            self._items if self._streams else self._files.take_out(json.loads(bytes(outcome.output)), self._schema, ())
        )

    def _name_file(self, extension: str, place: tuple[str, ...]) -> Path:
        """Name a file by the extension that `-o` has; the number in `model.2` is none."""
        asked = self._base.suffix
        if asked[1:].isdigit():
            asked = ""
        inner = f".{join_place(place)}" if place else ""
        stem = f"{self._base.name.removesuffix(asked)}{inner}"
        path = self._base.with_name(f"{stem}{asked or extension}")
        return path if path != self._taken else path.with_name(f"{stem}.output{asked or extension}")


def _resolve(target: Path | None, name: str) -> Path:
    """Name the file that is meant where nothing is named, or a folder."""
    if target is None:
        return Path(name)
    return target / name if target.is_dir() else target


def _lay_out(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _place(text: str, target: Path | None) -> None:
    """Write a text to a file as it is, or to stdout as a line."""
    if target is None:
        sys.stdout.write(f"{text}\n")
        return
    try:
        target.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{target} cannot be written: {error.strerror}.\nName another file with -o.") from error
    say(f"Written output to: {target}")
