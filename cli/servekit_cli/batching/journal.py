"""What tells, after a job was killed, that it goes on with the input that it began with.

Invariant: when a result is written, the journal has counted its row already. It is replaced as a whole before
results are appended, so that a kill between the two leaves rows that were counted and are not done, which are run
again, and never a row that is done and was not counted.
"""

import hashlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from servekit.errors import UsageError
from servekit_cli.batching.records import Record, Source

__all__ = ["Journal", "ReadTally", "check_unchanged", "load_journal", "read_counted", "save_journal"]

_VERSION: Final = 1


class Journal(msgspec.Struct, frozen=True):
    """What a job had read of its input.

    Attributes:
        source: What the input was called.
        rows: How many rows of it were read.
        digest: Of these rows.
        settings: Digest of what else decides what a row's input is.
        version: Of this form.
    """

    source: str
    rows: int
    digest: str
    settings: str
    version: int = _VERSION


class ReadTally:
    """Counts rows, and takes their digest, in the thread that reads them."""

    def __init__(self) -> None:
        self._rows = 0
        self._hash = hashlib.blake2b(digest_size=16)
        self._lock = threading.Lock()

    def add(self, record: Record) -> None:
        """Count a row."""
        with self._lock:
            self._rows = record.number
            self._hash.update(b"%d:" % len(record.content))
            self._hash.update(record.content)

    def snapshot(self) -> tuple[int, str]:
        """Return how many rows were counted, and their digest."""
        with self._lock:
            return self._rows, self._hash.hexdigest()


def load_journal(path: Path) -> Journal | None:
    """Read a journal; None if there is none.

    Raises:
        UsageError: It is damaged, or of another version of servekit.
    """
    try:
        journal = msgspec.json.decode(path.read_bytes(), type=Journal)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, UnicodeDecodeError):
        journal = None
    if journal is None or journal.version != _VERSION:
        raise UsageError(f"{path} is damaged, or of another version of servekit.\nBegin anew with --force.")
    return journal


def save_journal(path: Path, journal: Journal) -> None:
    """Replace a journal, so that there is the old one or the new one at every moment, also when the machine stops."""
    new = path.with_name(f"{path.name}.new")
    with new.open("wb") as file:
        file.write(msgspec.json.encode(journal))
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def check_unchanged(source: Source, journal: Journal) -> None:
    """Read the rows again that a job had read, and compare.

    Raises:
        UsageError: They are others.
    """
    for _ in read_counted(source.read(), journal, ReadTally()):
        pass


def read_counted(records: Iterator[Record], journal: Journal, tally: ReadTally) -> Iterator[Record]:
    """Give the rows that a job had read. Only at their end it is known whether they are the same.

    Raises:
        UsageError: They are others.
    """
    rows = 0
    while rows < journal.rows:
        record = next(records, None)
        if record is None:
            raise _changed(journal, f"it has {rows:,} rows now, and {journal.rows:,} had been read of it")
        tally.add(record)
        rows = record.number
        yield record
    if rows and tally.snapshot()[1] != journal.digest:
        raise _changed(journal, f"its first {journal.rows:,} rows are others now")


def _changed(journal: Journal, reason: str) -> UsageError:
    return UsageError(
        f"The input is not what the job began with ({journal.source}): {reason}.\n"
        "Rows may be added at its end only. Give the same input again, or begin anew with --force."
    )
