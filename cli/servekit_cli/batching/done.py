"""Which rows are done, read from the results themselves."""

import os
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from servekit.errors import UsageError
from servekit_cli.batching.lines import KnownResult, read_known

__all__ = ["DoneRows", "drop_failed", "restore_order", "scan_results"]

_BITS: Final = 8


@dataclass
class DoneRows:
    """Rows that have a result, one bit each.

    Attributes:
        count: How many there are.
        failed: How many of them did not succeed.
        size: How many bytes of the results are whole lines.
        last: The row of the last line.
        is_ordered: Whether the lines stand in the order of their rows.
    """

    count: int = 0
    failed: int = 0
    size: int = 0
    last: int = 0
    is_ordered: bool = True
    _bits: bytearray = field(default_factory=bytearray)

    def __contains__(self, row: int) -> bool:
        index, bit = divmod(row, _BITS)
        return index < len(self._bits) and bool(self._bits[index] >> bit & 1)

    def add(self, result: KnownResult) -> None:
        """Take note of a result."""
        index, bit = divmod(result.row, _BITS)
        if index >= len(self._bits):
            self._bits.extend(bytes(index + 1 - len(self._bits)))
        self._bits[index] |= 1 << bit
        self.count += 1
        self.failed += not result.has_succeeded
        self.is_ordered &= result.row > self.last
        self.last = result.row


def scan_results(path: Path, rows: int | None = None) -> DoneRows:
    """Read which rows are done; a last line that was torn by a kill does not count.

    Args:
        path: The results.
        rows: How many rows there can be; None where that is known to be so.

    Raises:
        UsageError: The file holds something else than results, or results of rows that there are not.
    """
    done = DoneRows()
    for line, result in _read_results(path):
        if rows is not None and result.row > rows:
            raise UsageError(
                f"{path} has a result of row {result.row:,}, and only {rows:,} rows had been read by its journal.\n"
                "It was changed since, or is of another job. Name another file with -o, or begin anew with --force."
            )
        done.add(result)
        done.size += len(line)
    return done


def drop_failed(path: Path) -> None:
    """Leave only the results of rows that succeeded, so that the others are run again.

    The file is replaced at once: a kill leaves the old one or the new one.
    """
    new = path.with_name(f"{path.name}.new")
    with new.open("wb") as file:
        file.writelines(line for line, result in _read_results(path) if result.has_succeeded)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def restore_order(path: Path) -> None:
    """Put results into the order of their rows, where rows that failed were run again; takes 8 bytes a row.

    The file is replaced at once.
    """
    offsets = array("Q")
    at = 0
    for line, result in _read_results(path):
        if result.row > len(offsets):
            offsets.frombytes(bytes(offsets.itemsize * (result.row - len(offsets))))
        offsets[result.row - 1] = at + 1
        at += len(line)
    new = path.with_name(f"{path.name}.new")
    with path.open("rb") as old, new.open("wb") as file:
        for offset in offsets:
            if offset:
                old.seek(offset - 1)
                file.write(old.readline())
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def _read_results(path: Path) -> Iterator[tuple[bytes, KnownResult]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return  # torn
            yield line, read_known(line, str(path), number)
