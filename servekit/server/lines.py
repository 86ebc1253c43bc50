"""Lines of log on their way to a file descriptor, written together once per turn of the event loop.

The descriptor may be a pipe that nobody reads: a write to it would wait for ever, and the whole server
with it. It cannot be made non-blocking, since that holds for every process that shares it. So each write
first asks whether there is room, and takes no more than a pipe that has room takes at once.
"""

import asyncio
import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable

__all__ = ["LineWriter"]

_MAX_WAITING_BYTES = 1 << 20
"""How much is kept for a reader that is behind; chosen by feel."""

_RETRY_SECONDS = 0.05

_NOTHING = memoryview(b"")


class LineWriter:
    """Writes lines to a file descriptor; the end of a structlog chain.

    Lines of one turn of the loop go out in one system call: that costs more than making them. Where no
    loop runs a line goes out at once. A reader that is gone, or takes nothing, costs lines, never the
    server: about 1 MB is kept for it, what comes on top is dropped and counted. Any thread may write.

    Args:
        descriptor: Where to write; standard error if not given, even if `sys.stderr` was replaced.

    Attributes:
        on_dropped: Told how many lines were dropped, once there is room again; it may write a line about it.
    """

    def __init__(self, descriptor: int = 2) -> None:
        self.on_dropped: Callable[[int], None] | None = None
        self._descriptor = descriptor
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLOUT)
        self._lock = threading.Lock()  # never held while waiting, except by the last `flush`
        self._lines: deque[bytes] = deque()
        self._rest = _NOTHING
        self._waiting_bytes = 0
        self._dropped = 0
        self._is_scheduled = False

    @property
    def is_terminal(self) -> bool:
        """Whether a person reads it."""
        return os.isatty(self._descriptor)

    def msg(self, line: bytes) -> None:
        """Write a line soon."""
        with self._lock:
            if self._waiting_bytes and self._waiting_bytes + len(line) > _MAX_WAITING_BYTES:
                self._dropped += 1
            else:
                self._lines.append(line)
                self._waiting_bytes += len(line) + 1
        if self._is_scheduled:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.flush()
            return
        self._is_scheduled = True
        loop.call_soon(self._on_turn)

    debug = info = warning = error = critical = msg

    def flush(self, wait_seconds: float = 0.0) -> bool:
        """Write what there is, now.

        Args:
            wait_seconds: How long to wait for a reader that is behind; the loop stands still meanwhile.

        Returns:
            Whether nothing is left to write.
        """
        with self._lock:
            is_empty = self._write(time.monotonic() + wait_seconds if wait_seconds else None)
            dropped, self._dropped = (self._dropped, 0) if is_empty else (0, self._dropped)
        if dropped and self.on_dropped is not None:
            self.on_dropped(dropped)
        return is_empty

    def _on_turn(self) -> None:
        if self.flush():
            self._is_scheduled = bool(self._lines)
            if self._is_scheduled:  # the line about those that were dropped, or one from another thread
                asyncio.get_running_loop().call_soon(self._on_turn)
        else:
            asyncio.get_running_loop().call_later(_RETRY_SECONDS, self._on_turn)

    def _write(self, deadline: float | None) -> bool:
        while self._rest or self._lines:
            if not self._rest:
                self._rest = memoryview(b"\n".join((*self._lines, b"")))
                self._lines.clear()
            try:
                left = 0.0 if deadline is None else max(0.0, deadline - time.monotonic())
                if not self._poll.poll(left * 1000):
                    return False
                count = os.write(self._descriptor, self._rest[: select.PIPE_BUF])
            except BlockingIOError:  # somebody who shares the descriptor made it so
                return False
            except OSError:  # nobody will ever read it
                self._lines.clear()
                self._rest, self._waiting_bytes = _NOTHING, 0
                return True
            self._rest = self._rest[count:]
            self._waiting_bytes -= count
        return True
