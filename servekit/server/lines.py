"""Lines of log on their way to a file descriptor, written together once per turn of the event loop."""

import asyncio
import os
import select
from collections import deque

__all__ = ["LineWriter"]

_MAX_WAIT_SECONDS = 1.0


class LineWriter:
    """Writes lines to a file descriptor; the end of a structlog chain.

    Lines of one turn of the loop go out in one system call: that costs more than making them. Where no
    loop runs a line goes out at once. A reader that is gone, or takes nothing for a second, costs the
    lines, never the server.

    Args:
        descriptor: Where to write; standard error if not given, even if `sys.stderr` was replaced.
    """

    def __init__(self, descriptor: int = 2) -> None:
        self._descriptor = descriptor
        self._lines: deque[bytes] = deque()

    @property
    def is_terminal(self) -> bool:
        """Whether a person reads it."""
        return os.isatty(self._descriptor)

    def msg(self, line: bytes) -> None:
        """Write a line soon."""
        self._lines.append(line)
        if len(self._lines) > 1:
            return  # the first one has seen to it
        try:
            asyncio.get_running_loop().call_soon(self.flush)
        except RuntimeError:
            self.flush()

    debug = info = warning = error = critical = msg

    def flush(self) -> None:
        """Write what there is, now."""
        parts: list[bytes] = []
        while self._lines:
            parts += (self._lines.popleft(), b"\n")
        rest = memoryview(b"".join(parts))
        while rest:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:  # somebody who shares the descriptor made it so
                if not select.select([], [self._descriptor], [], _MAX_WAIT_SECONDS)[1]:
                    return
            except OSError:
                return
