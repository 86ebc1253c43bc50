"""A child process with a socket and two pipes to it, on any event loop.

Not asyncio's own: its `wait` returns only when the pipes have closed (until Python 3.13), and a
child of the model may hold them open for as long as it likes.
"""

import asyncio
import codecs
import contextlib
import contextvars
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import IO, cast

from servekit.runtime.stack import StackPipe

__all__ = ["ChildProcess"]


class ChildProcess:
    """A process in a session of its own, so that all that it starts can be ended with it.

    Made on the loop that it belongs to, in a thread that lives as long as the child should: the
    child asks the kernel to end it with the thread that started it.

    Args:
        command: Program and arguments; the numbers of the child's ends of the socket and of the pipe for its
            stacks are added at the end.
        folder: Where it runs.
        environment: Its environment variables.

    Raises:
        OSError: The program cannot be started.
    """

    def __init__(self, command: Sequence[str], folder: str, environment: Mapping[str, str]) -> None:
        self._loop = asyncio.get_running_loop()
        self.socket, theirs = socket.socketpair()
        self.stacks = StackPipe()
        ends = (theirs.fileno(), self.stacks.write_end)
        try:
            self._process = subprocess.Popen(
                [*command, *map(str, ends)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=ends,
                cwd=folder,
                env=environment,
                start_new_session=True,
            )
        except BaseException:
            self.socket.close()
            self.stacks.close()
            raise
        finally:
            theirs.close()
            self.stacks.hand_over()
        self._exit_code: asyncio.Future[int] = self._loop.create_future()
        self._pipes: list[_Pipe] = []
        self._unread = [("stdout", self._process.stdout), ("stderr", self._process.stderr)]
        # It ends with the process, and nobody has to wait for it.
        run = contextvars.Context().run
        threading.Thread(target=run, args=(self._wait,), name=f"wait-{self.pid}", daemon=True).start()

    @property
    def pid(self) -> int:
        """The number of the process, and of its process group."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether nobody has seen its end yet."""
        return self._process.returncode is None

    async def read_output(self, on_text: Callable[[str, str], None]) -> None:
        """Have what is written to its file descriptors 1 and 2 passed on, as `on_text(source, text)`."""
        while self._unread:
            source, stream = self._unread.pop(0)  # from here on it is the loop's, which closes it
            pipe = _Pipe(source, on_text)
            self._pipes.append(pipe)  # before: should this be cancelled meanwhile, its end is waited for all the same
            await self._loop.connect_read_pipe(partial(_same, pipe), cast("IO[bytes]", stream))

    async def exited(self) -> int:
        """Wait for its end; return the exit code, or minus the number of the signal that ended it."""
        return await asyncio.shield(self._exit_code)

    async def output_ended(self) -> None:
        """Wait until nobody can write to the pipes any more, and all of it is read."""
        for pipe in self._pipes:
            await pipe.ended.wait()

    def end_group(self) -> None:
        """End now what it has started, and itself."""
        with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS refuses a group of zombies
            os.killpg(self.pid, signal.SIGKILL)

    def close(self) -> None:
        """After its end: close the pipes."""
        self.stacks.close()
        for pipe in self._pipes:
            pipe.close()

    def let_go(self) -> None:
        """Close the socket and the pipes, as far as no loop has taken them over yet."""
        self.socket.close()
        self.stacks.close()
        for _, stream in self._unread:
            if stream is not None:
                stream.close()

    def kill(self) -> None:
        """End it now, with all that it has started."""
        if self.is_alive:
            self.end_group()

    def _wait(self) -> None:
        code = self._process.wait()
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to tell
            self._loop.call_soon_threadsafe(self._exit_code.set_result, code)


def _same(pipe: "_Pipe") -> "_Pipe":
    return pipe


class _Pipe(asyncio.Protocol):
    def __init__(self, source: str, on_text: Callable[[str, str], None]) -> None:
        self.ended = asyncio.Event()
        self._source = source
        self._on_text = on_text
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._transport: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        text = self._decode(data)
        if text:
            self._on_text(self._source, text)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self.ended.set()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
