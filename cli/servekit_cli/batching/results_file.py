"""Where results are appended: whole lines only, and never before the journal has counted their rows."""

import fcntl
import os
import time
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from servekit.errors import UsageError

__all__ = ["FLUSH_SECONDS", "ResultsFile", "lock_results"]

FLUSH_SECONDS: Final = 0.5
"""How long a result waits at most before it is written. What a kill takes with it is run again."""

_FLUSH_BYTES: Final = 1 << 20
_SYNC_SECONDS: Final = 5.0
"""How much of the work a power failure may take."""


class ResultsFile:
    """The results of one job; a context manager that closes the file.

    `append` and `take` belong to the event loop, `write` to a thread.

    Args:
        file: Is written to; locked.
        size: How much of what is in it stays.
        before_write: Called before lines are written.
    """

    def __init__(self, file: FileIO, size: int, before_write: Callable[[], None]) -> None:
        self._file = file
        self._before_write = before_write
        self._buffer = bytearray()
        self._synced_at = time.monotonic()
        self._size = size
        self._is_broken = False
        if file.seek(0, os.SEEK_END) != size:
            file.truncate(size)
            file.seek(size)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()

    @property
    def is_full(self) -> bool:
        """Whether there is enough to be written."""
        return len(self._buffer) >= _FLUSH_BYTES

    def append(self, line: bytes) -> None:
        """Take note of a line that is to be written."""
        self._buffer += line

    def take(self) -> bytearray:
        """Hand out all that is to be written."""
        lines, self._buffer = self._buffer, bytearray()
        return lines

    def write(self, lines: bytearray, *, is_last: bool = False) -> None:
        """Write lines.

        Args:
            lines: What was taken.
            is_last: Whether it is on the disk when this returns; else that happens now and then.

        Raises:
            OSError: There is no room, say; the error names the file. Nothing is written any more after it.
        """
        if self._is_broken:
            return
        syncs = is_last or time.monotonic() - self._synced_at > _SYNC_SECONDS
        try:
            self._before_write()
            rest = memoryview(lines)
            while rest:
                rest = rest[self._file.write(rest) :]
            self._size += len(lines)
            if syncs:
                os.fsync(self._file.fileno())
                self._synced_at = time.monotonic()
        except OSError as error:
            self._is_broken = True
            self._file.truncate(self._size)  # a line of which half is written would spoil what is written after it
            error.filename = error.filename or self._file.name
            raise


def lock_results(path: Path) -> FileIO:
    """Open a file of results, or make one, for this process alone. The lock goes with the process.

    Raises:
        UsageError: Another process has it, or it cannot be written to.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}.\nName another file with -o.") from error
    file = FileIO(descriptor, "r+b", closefd=True)
    file.name = str(path)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise UsageError(f"Another job writes to {path}.\nWait for its end, or name another file with -o.") from None
    return file
