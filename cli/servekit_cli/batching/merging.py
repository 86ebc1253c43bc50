"""One thing out of all results of a job: a text, an array of embeddings, or how often each class was found.

Each function takes the lines of a file of results, is done with one before it takes the next, and passes over rows that
failed. All of them can be used from Python as well:

    from servekit_cli.batching.merging import merge_text
    merge_text(Path("results.jsonl"), Path("book.txt"))
"""

import csv
import json
import os
import struct
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from servekit.errors import UsageError

__all__ = ["MERGERS", "Merger", "merge_classes", "merge_embeddings", "merge_text", "read_outputs"]

Merger = Callable[[Path, Path], int]
"""Reads the first file, writes the second one, and returns how many rows went in."""

_MOST_CLASSES: Final = 100_000
"""More different ones are no classes, and would not fit into memory for ever."""

_LABELS: Final = ("label", "class", "category", "name")
_VECTORS: Final = ("embedding", "vector", "values")
_NPY_HEADER_BYTES: Final = 128


class _Line(msgspec.Struct):
    row: int
    status: str
    output: Any = None


def read_outputs(results: Path) -> Iterator[tuple[int, Any]]:
    """Give row and output of each row that succeeded, in the order of the file.

    Raises:
        UsageError: The file holds something else than results.
    """
    decoder = msgspec.json.Decoder(_Line)
    with results.open("rb") as file:
        for number, text in enumerate(file, start=1):
            try:
                line = decoder.decode(text)
            except (msgspec.DecodeError, UnicodeDecodeError):
                raise UsageError(f"{results} has a line {number} that is no result of servekit batch.") from None
            if line.status == "succeeded":
                yield line.row, line.output


def merge_text(results: Path, target: Path) -> int:
    """Join texts into one file, each with a line feed at its end; the pieces of one output are one text.

    Raises:
        UsageError: An output is no text.
    """
    count = 0
    with target.open("w", encoding="utf-8") as file:
        for row, output in read_outputs(results):
            pieces: list[Any] = output if isinstance(output, list) else [output]  # pyright: ignore[reportUnknownVariableType] # JSON
            if not all(isinstance(piece, str) for piece in pieces):
                raise _misfit(row, "text", output)
            text = "".join(pieces)
            file.write(text if text.endswith("\n") else f"{text}\n")
            count += 1
    return count


def merge_embeddings(results: Path, target: Path) -> int:
    """Put embeddings into one array of 32-bit floats, in NumPy's format: one row for each row that succeeded.

    An embedding is a list of numbers, or an object with one. Which row is which is in a file beside it, `.rows.txt`.

    Raises:
        UsageError: An output has no embedding in it, or one of another length.

    Source:
        NumPy Enhancement Proposal 1, "A simple file format for NumPy arrays", version 1.0 of the format.
    """
    count, width = 0, 0
    with target.open("wb") as file, target.with_name(f"{target.name}.rows.txt").open("w", encoding="utf-8") as rows:
        file.write(bytes(_NPY_HEADER_BYTES))
        for row, output in read_outputs(results):
            vector = _find_vector(row, output)
            if count and len(vector) != width:
                raise UsageError(
                    f"Row {row} has {len(vector)} numbers, and those before it have {width}.\n"
                    "One array holds embeddings of one length only."
                )
            width = len(vector)
            count += 1
            file.write(_to_bytes(vector))
            rows.write(f"{row}\n")
        file.seek(0, os.SEEK_SET)
        file.write(_npy_header(count, width))
    return count


def merge_classes(results: Path, target: Path) -> int:
    """Count how often each class was found; as a table if the file is called `.csv`, else as a JSON object.

    A class is a text, or what an object has as `label`, `class`, `category` or `name`; a list counts by its first item,
    which is the likeliest where a model gives several.

    Raises:
        UsageError: An output has no class in it, or there are more than could be classes.
    """
    counts: Counter[str] = Counter()
    for row, output in read_outputs(results):
        counts[_find_class(row, output)] += 1
        if len(counts) > _MOST_CLASSES:
            raise UsageError(f"There are more than {_MOST_CLASSES:,} different outputs, which are no classes.")
    with target.open("w", encoding="utf-8", newline="") as file:
        if target.suffix.lower() == ".csv":
            table = csv.writer(file)
            table.writerow(("class", "count"))
            table.writerows(counts.most_common())
        else:
            json.dump(dict(counts.most_common()), file, ensure_ascii=False, indent=2)
            file.write("\n")
    return counts.total()


MERGERS: Final[Mapping[str, tuple[Merger, str]]] = {
    "text": (merge_text, ".merged.txt"),
    "embeddings": (merge_embeddings, ".npy"),
    "classes": (merge_classes, ".counts.json"),
}
"""By name, each with the ending of the file that it writes."""


def _find_vector(row: int, output: Any) -> list[Any]:
    if isinstance(output, Mapping):
        members: Mapping[str, Any] = output  # pyright: ignore[reportUnknownVariableType] # JSON
        output = next((members[name] for name in _VECTORS if name in members), None)
    if isinstance(output, list) and len(output) == 1 and isinstance(output[0], list):  # pyright: ignore[reportUnknownArgumentType] # JSON
        output = output[0]  # pyright: ignore[reportUnknownVariableType] # JSON
    if not isinstance(output, list) or not output:
        raise _misfit(row, "list of numbers", output)
    vector: list[Any] = output  # pyright: ignore[reportUnknownVariableType] # JSON
    return vector


def _to_bytes(vector: list[Any]) -> bytes:
    try:
        return struct.pack(f"<{len(vector)}f", *vector)
    except (struct.error, OverflowError):
        raise UsageError("An output has something else than numbers in it, which is no embedding.") from None


def _npy_header(rows: int, columns: int) -> bytes:
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {columns}), }}"
    body = text.encode().ljust(_NPY_HEADER_BYTES - 11) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(body)) + body


def _find_class(row: int, output: Any) -> str:
    if isinstance(output, list) and output:
        output = output[0]  # pyright: ignore[reportUnknownVariableType] # JSON
    if isinstance(output, Mapping):
        members: Mapping[str, Any] = output  # pyright: ignore[reportUnknownVariableType] # JSON
        output = next((members[name] for name in _LABELS if name in members), None)
    if not isinstance(output, str | int | bool):
        raise _misfit(row, "class", output)
    return str(output)


def _misfit(row: int, expected: str, output: Any) -> UsageError:
    return UsageError(f"The output of row {row} is no {expected}: {str(output)[:80]!r}.\nTake another way to merge.")
