"""Rows from a table of texts, with the names of the inputs in its first line."""

import csv
import io
from collections import Counter
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Final

import msgspec

from servekit.errors import UsageError
from servekit_cli.batching.records import MAX_ROW_BYTES, Record

if TYPE_CHECKING:
    from _csv import Reader

__all__ = ["read_csv"]

_SHOWN: Final = 200


def read_csv(stream: IO[bytes], name: str, delimiter: str) -> Iterator[Record]:
    """Read the rows below the header; blank lines are none.

    Raises:
        UsageError: Two columns have one name.
    """
    csv.field_size_limit(MAX_ROW_BYTES)  # a quotation mark that nothing closes takes the rest of the file into one cell
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
    try:
        yield from _read_rows(csv.reader(text, delimiter=delimiter), name)
    finally:
        text.detach()  # the stream is closed by whoever opened it


def _read_rows(lines: "Reader", name: str) -> Iterator[Record]:
    header = _read_header(lines, name)
    number, last_line = 0, lines.line_num
    while True:
        fault, cells = None, list[str]()
        try:
            cells = next(lines)
        except StopIteration:
            return
        except csv.Error as error:
            fault = f"not a row of a table: {error}"
        place, last_line = f"line {last_line + 1}", lines.line_num
        if not cells and fault is None:
            continue
        number += 1
        yield _make_record(number, place, header, cells, fault)


def _read_header(lines: Iterator[list[str]], name: str) -> list[str]:
    header = [cell.strip() for cell in next(lines, list[str]())]
    twice = sorted(column for column, times in Counter(header).items() if times > 1)
    if twice:
        named = " and ".join(f'"{column}"' for column in twice)
        raise UsageError(f"{name} has more than one column {named}.\nGive each column a name of its own.")
    return header


def _make_record(number: int, place: str, header: list[str], cells: list[str], fault: str | None) -> Record:
    if fault is None and len(cells) != len(header):
        fault = f"the row has {len(cells)} cells, and the header has {len(header)}"
    texts = dict(zip(header, cells, strict=False))
    try:
        content = msgspec.json.encode(texts)
    except UnicodeEncodeError:
        return Record(number, place, b"", fault="the row is not UTF-8 text")
    if fault is not None:
        return Record(number, place, ",".join(cells)[:_SHOWN].encode(), fault=fault)
    return Record(number, place, content, texts, has_gaps=True)
