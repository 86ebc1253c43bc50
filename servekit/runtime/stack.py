"""The stacks of a worker process, taken without its help.

A worker registers `faulthandler` for a signal when it starts. Its handler is written in C and needs no lock of the
interpreter, so it writes while a call into C holds that lock, or an endless loop the event loop. It writes into
a pipe that only the server reads, and never blocks: what finds no room is lost, which bounds the size as well.

The handler runs in the main thread, and interrupts what that sleeps in: Python's own calls go on,
a C function that waits in the main thread may return early.
"""

import asyncio
import os
import re
import signal
import sys
from pathlib import Path
from typing import Final

__all__ = ["STACK_SIGNAL", "StackPipe", "describe_state", "shorten_stack"]


def _choose_signal() -> int | None:
    first: int | None = getattr(signal, "SIGRTMIN", None)
    if first is None:
        # What Ctrl-T sends on macOS and BSD, to ask what a program does; it is ignored where nobody handles it.
        return getattr(signal, "SIGINFO", None)
    # Real-time signals have no meaning of their own. The first few are taken by timers and profilers, the last
    # few by Java and Valgrind; this is one from the middle, chosen by feel.
    return first + 11


STACK_SIGNAL: Final = _choose_signal()
"""What makes a worker write its stacks; None where there is no signal to spare."""

_LOOK_SECONDS = 0.05
_MOST_BYTES = 1 << 16
"""As much as a pipe holds on Linux."""


class StackPipe:
    """What a worker process writes its stacks into."""

    def __init__(self) -> None:
        self._read_end, self.write_end = os.pipe()
        os.set_blocking(self._read_end, False)
        os.set_blocking(self.write_end, False)
        self._is_open = True

    def hand_over(self) -> None:
        """Close the worker's end here; the worker has it now, or never will."""
        os.close(self.write_end)

    async def ask(self, pid: int, patience_seconds: float) -> str:
        """Make a process write its stacks, and return them; empty if nothing comes.

        Raises:
            OSError: There is no such process.
        """
        # By default these signals end a process; so it must be known to handle this one.
        if STACK_SIGNAL is None or not self._is_open or not _handles(pid, STACK_SIGNAL):
            return ""
        self._read()  # what came too late the last time
        os.kill(pid, STACK_SIGNAL)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + patience_seconds
        dump = b""
        while loop.time() < deadline:
            await asyncio.sleep(_LOOK_SECONDS)
            more = self._read()
            if dump and not more:  # there is no end mark; it writes without a pause
                break
            dump += more
        return dump.decode("utf-8", "replace")

    def close(self) -> None:
        """Close the server's end; may be called again."""
        if self._is_open:
            self._is_open = False
            os.close(self._read_end)

    def _read(self) -> bytes:
        if not self._is_open:
            return b""
        try:
            return os.read(self._read_end, _MOST_BYTES)
        except BlockingIOError:
            return b""


def _handles(pid: int, number: int, proc: Path = Path("/proc")) -> bool:
    """Whether a process has a handler for a signal (proc_pid_status(5), SigCgt)."""
    if sys.platform != "linux":
        return True
    try:
        caught = re.search(r"^SigCgt:\s*([0-9a-f]+)", (proc / str(pid) / "status").read_text(), re.MULTILINE)
    except OSError:
        return False
    return caught is not None and bool(int(caught[1], 16) >> (number - 1) & 1)


_STATES: Final = {
    "D": "it waits in the kernel and cannot be interrupted: a disk, a network file system or a driver does not answer",
    "T": "it was stopped by a signal (SIGSTOP or SIGTSTP); kill -CONT lets it go on",
    "t": "a debugger or tracer has stopped it",
    "Z": "it has ended",
    "X": "it has ended",
}


def describe_state(pid: int, proc: Path = Path("/proc")) -> str | None:
    """Say why the kernel does not let a process run (proc_pid_stat(5)); None if it does, or does not tell."""
    try:
        stat = (proc / str(pid) / "stat").read_text()
    except OSError:
        return None
    state = stat.rpartition(")")[2].split()[0]  # behind the program's name, which may hold anything
    return _STATES.get(state)


_THREADS: Final = re.compile(r"^(?=(?:Current thread|Thread) 0x)", re.MULTILINE)
_ON_THE_WAY: Final = re.compile(
    r'File "(?:<frozen '
    r'|[^"]*/python3\.\d+t?/(?!site-packages/|dist-packages/)'  # the standard library of whichever interpreter
    r'|[^"]*/servekit/(?:runtime|server|threads)/)'
)


def shorten_stack(dump: str) -> str:
    """Shorten what faulthandler wrote.

    Left out are the frames by which Python and servekit came to the author's code, and threads with nothing else.
    """
    threads = [part.rstrip() for part in _THREADS.split(dump) if part.strip()]
    kept = [short for short in map(_shorten_thread, threads) if short is not None]
    if not kept:
        return dump.strip()
    left_out = len(threads) - len(kept)
    return "\n\n".join([*kept, *([f"({left_out} more that run none of the model's code)"] if left_out else [])])


def _shorten_thread(thread: str) -> str | None:
    head, *frames = thread.splitlines()
    while frames and (not frames[-1].lstrip().startswith("File") or _ON_THE_WAY.search(frames[-1])):
        frames.pop()
    return "\n".join([head, *frames]) if frames else None
