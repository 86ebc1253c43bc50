"""Where the results of a job go, line by line."""

import asyncio
import sys
from typing import Protocol

from servekit.jobs import RowResult
from servekit_cli.batching.lines import encode_result
from servekit_cli.batching.output_files import OutputFiles
from servekit_cli.batching.rows import InputRow

__all__ = ["LineSink", "Lines", "StdoutLines"]


class Lines(Protocol):
    """Takes lines on the event loop, and writes them in a thread."""

    @property
    def is_full(self) -> bool:
        """Whether there is enough to be written."""
        ...

    def append(self, line: bytes) -> None:
        """Take note of a line that is to be written."""

    def take(self) -> bytearray:
        """Hand out all that is to be written."""
        ...

    def write(self, lines: bytearray, *, is_last: bool = False) -> None:
        """Write lines; the last ones are safe when this returns."""


class StdoutLines:
    """Lines for stdout, where a reader may be slow and may go away."""

    _FULL = 1 << 16

    def __init__(self) -> None:
        self._buffer = bytearray()

    @property
    def is_full(self) -> bool:
        """Whether there is enough to be written."""
        return len(self._buffer) >= self._FULL

    def append(self, line: bytes) -> None:
        """Take note of a line that is to be written."""
        self._buffer += line

    def take(self) -> bytearray:
        """Hand out all that is to be written."""
        lines, self._buffer = self._buffer, bytearray()
        return lines

    def write(self, lines: bytearray, *, is_last: bool = False) -> None:  # noqa: ARG002 - the interface
        """Write lines.

        Raises:
            BrokenPipeError: Nobody reads any more.
        """
        sys.stdout.buffer.write(lines)
        sys.stdout.buffer.flush()


class LineSink:
    """Turns results into lines.

    Args:
        lines: Where they go.
        files: Where the files in outputs go.
        has_input: Whether a result has its input in it.
    """

    def __init__(self, lines: Lines, files: OutputFiles, *, has_input: bool) -> None:
        self._lines = lines
        self._files = files
        self._has_input = has_input
        self._writing = asyncio.Lock()

    async def put(self, result: RowResult) -> None:
        """Take a result; it waits for the disk now and then."""
        output = result.raw_output
        if self._files.may_be_in(output):
            output = await asyncio.to_thread(self._files.take_out, result.number, output)
        assert isinstance(result.row, InputRow)
        self._lines.append(encode_result(result, result.row.shown if self._has_input else None, output))
        if self._lines.is_full:
            await self.flush()

    async def flush(self, *, is_last: bool = False) -> None:
        """Write what was taken.

        Raises:
            OSError: It cannot be written.
        """
        async with self._writing:
            await asyncio.to_thread(self._lines.write, self._lines.take(), is_last=is_last)
