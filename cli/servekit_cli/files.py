"""Write the files in an output: what the schema calls a file comes as a data URL and becomes a file."""

import base64
import binascii
import mimetypes
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from servekit.errors import UsageError
from servekit_cli.schemas import Schema, is_file, item_schema, property_schema
from servekit_cli.targets import STDOUT
from servekit_cli.terminal import say

__all__ = ["FileWriter", "NameFile", "join_place"]

NameFile = Callable[[str, tuple[str, ...]], Path]
"""Names a file by the extension of its type, and by where in the output it stands; empty for the whole output."""

_EXTENSIONS: Final = {
    "application/jsonl": ".jsonl",
    "application/x-ndjson": ".ndjson",
    "application/xml": ".xml",
    "audio/mpeg": ".mp3",
    "audio/wav": ".wav",
    "audio/webm": ".weba",
    "image/webp": ".webp",
    "text/javascript": ".js",
    "text/plain": ".txt",
}
"""Where `mimetypes` knows none, or one that differs from system to system."""


class _WrittenFile(str):
    """The path of a file that was written, standing where its content was."""

    __slots__ = ()


class FileWriter:
    """Writes the files of one output.

    Args:
        schema: The JSON Schema of the output.
        name: Gives each file its name.
        goes_to_stdout: Whether files are written there instead.
        is_quiet: Whether the user is told nothing of each file.
    """

    def __init__(self, schema: Schema, name: NameFile, *, goes_to_stdout: bool = False, is_quiet: bool = False) -> None:
        self._schema = schema
        self._name = name
        self._goes_to_stdout = goes_to_stdout
        self._is_quiet = is_quiet

    @staticmethod
    def was_file(value: object) -> bool:
        """Whether a value stands for one file, or a list of nothing but files, which needs no more output."""
        if isinstance(value, list):
            items: list[object] = value  # pyright: ignore[reportUnknownVariableType] # JSON
            return bool(items) and all(isinstance(item, _WrittenFile) for item in items)
        return isinstance(value, _WrittenFile)

    def take_out(self, value: Any, schema: Schema, place: tuple[str, ...]) -> Any:
        """Write the files in a value and return the value with their paths.

        Args:
            value: JSON, decoded.
            schema: What it fits.
            place: Where in the output it stands; part of the file's name, unless empty.
        """
        if isinstance(value, str):
            if value.startswith("data:") and is_file(schema, self._schema):
                return self._write(value, place)
            return value
        if isinstance(value, list):
            item = item_schema(schema, self._schema)
            items: list[Any] = value  # pyright: ignore[reportUnknownVariableType] # JSON
            return [self.take_out(each, item, (*place, str(index))) for index, each in enumerate(items)]
        if isinstance(value, Mapping):
            members: Mapping[str, Any] = value  # pyright: ignore[reportUnknownVariableType] # JSON
            return {
                name: self.take_out(each, property_schema(schema, self._schema, name), (*place, name))
                for name, each in members.items()
            }
        return value

    def _write(self, url: str, place: tuple[str, ...]) -> str:
        media_type, content = _decode(url)
        if self._goes_to_stdout:
            sys.stdout.buffer.write(content)
            sys.stdout.buffer.flush()
            return _WrittenFile(STDOUT)
        path = self._name(_guess_extension(media_type), place)
        is_replaced = path.is_file()
        try:
            path.write_bytes(content)
        except OSError as error:
            raise UsageError(f"{path} cannot be written: {error.strerror}.\nName another file with -o.") from error
        if not self._is_quiet:
            _tell(path, is_replaced=is_replaced)
        return _WrittenFile(path)


def _tell(path: Path, *, is_replaced: bool) -> None:
    if is_replaced:
        # Not on the line below: programs take all that follows its colon for the path.
        say(f"{path} was there, and is replaced.")
    say(f"Written output to: {path}")


def join_place(place: tuple[str, ...]) -> str:
    """Write a place in an output as part of a file's name.

    Names in it come from the model, and may not lead elsewhere.
    """
    return ".".join(part.replace("/", "_").replace("\0", "_") for part in place)


def _guess_extension(media_type: str) -> str:
    return _EXTENSIONS.get(media_type) or mimetypes.guess_extension(media_type) or ".bin"


def _decode(url: str) -> tuple[str, bytes]:
    head, _, body = url[len("data:") :].partition(",")
    media_type, *parameters = head.split(";")
    if "base64" not in parameters:
        return media_type or "text/plain", unquote_to_bytes(body)
    try:
        return media_type, base64.b64decode(body, validate=True)
    except binascii.Error as error:
        raise UsageError(f"the output holds a file that cannot be decoded: {error}") from error
