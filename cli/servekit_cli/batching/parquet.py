"""Parquet, by pyarrow where that is installed."""

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from servekit.errors import UsageError
from servekit_cli.batching.records import Record

__all__ = ["count_parquet", "load_pyarrow", "read_parquet"]

_ROWS_AT_ONCE: Final = 1000


def load_pyarrow(name: str = "pyarrow.parquet") -> Any:
    """Import a module of pyarrow, which is none of servekit's dependencies.

    Raises:
        UsageError: It is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UsageError(
            f"Parquet is read and written by pyarrow, which cannot be imported: {error}.\n"
            "Install it beside servekit: pip install pyarrow"
        ) from None


def read_parquet(path: Path) -> Iterator[Record]:
    """Read the rows of a file, some at a time.

    Raises:
        UsageError: It is no Parquet file.
    """
    table = _open(path)
    number = 0
    for batch in table.iter_batches(batch_size=_ROWS_AT_ONCE):
        for row in batch.to_pylist():
            number += 1
            yield _make_record(number, row)


def count_parquet(path: Path) -> int:
    """Say how many rows a file has."""
    return int(_open(path).metadata.num_rows)


def _open(path: Path) -> Any:
    module = load_pyarrow()
    try:
        return module.ParquetFile(path)
    except (OSError, ValueError) as error:  # pyarrow's own errors are of these kinds
        raise UsageError(f"{path} cannot be read as Parquet: {error}.\nSay what it is with --format.") from None


def _make_record(number: int, row: dict[str, Any]) -> Record:
    place = f"row {number}"
    try:
        return Record(number, place, msgspec.json.encode(row), has_gaps=True)
    except (TypeError, ValueError) as error:
        return Record(number, place, b"", fault=f"the row cannot be written as JSON: {error}")
