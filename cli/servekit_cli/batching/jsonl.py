"""Rows from JSON Lines."""

from collections.abc import Iterator
from typing import IO, Final

from servekit_cli.batching.records import MAX_ROW_BYTES, Record

__all__ = ["read_jsonl"]

_BOM: Final = b"\xef\xbb\xbf"


def read_jsonl(stream: IO[bytes]) -> Iterator[Record]:
    """Read one row a line; lines without anything in them are none.

    What is in a line is looked at later.
    """
    number = line_number = 0
    while line := stream.readline(MAX_ROW_BYTES):
        line_number += 1
        is_whole = line.endswith(b"\n") or len(line) < MAX_ROW_BYTES
        if not is_whole:
            _skip_line(stream)
        content = line.strip()
        if line_number == 1:
            content = content.removeprefix(_BOM)
        if not content:
            continue
        number += 1
        if is_whole:
            yield Record(number, f"line {line_number}", content)
        else:
            fault = f"the line is longer than {MAX_ROW_BYTES:,} bytes"
            yield Record(number, f"line {line_number}", content[:200], fault=fault)


def _skip_line(stream: IO[bytes]) -> None:
    while (piece := stream.readline(MAX_ROW_BYTES)) and not piece.endswith(b"\n"):
        pass
