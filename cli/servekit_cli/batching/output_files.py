"""The files in outputs, which go to a folder beside the results."""

import json
from pathlib import Path

from servekit_cli.files import FileWriter, join_place
from servekit_cli.schemas import Schema

__all__ = ["OutputFiles"]

_DATA_URL = b'"data:'


class OutputFiles:
    """Puts paths in place of the files of outputs.

    Args:
        schema: The JSON Schema of the output.
        folder: Where they go: `0000012.png` is that of row 12, `0000012.1.png` the second one in a list.
    """

    def __init__(self, schema: Schema, folder: Path) -> None:
        self._schema = schema
        self._folder = folder

    @staticmethod
    def may_be_in(raw_output: bytes) -> bool:
        """Whether there may be files in an output, so that `take_out` has something to do."""
        return _DATA_URL in raw_output

    def take_out(self, row: int, raw_output: bytes) -> bytes:
        """Write the files of an output, and return the output with their paths.

        Raises:
            OSError: One cannot be written.
            UsageError: One cannot be decoded.
        """

        def name(extension: str, place: tuple[str, ...]) -> Path:
            self._folder.mkdir(exist_ok=True)
            inner = f".{join_place(place)}" if place else ""
            return self._folder / f"{row:07}{inner}{extension}"

        writer = FileWriter(self._schema, name, is_quiet=True)
        return json.dumps(writer.take_out(json.loads(raw_output), self._schema, ()), ensure_ascii=False).encode()
