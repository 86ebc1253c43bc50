"""The program of a worker process: `python -u -P -m servekit.runtime.child PARENT SOCKET STACKS`.

Started fresh by the server, never forked from it. Its settings are in a variable, which it takes out of its
environment before the model is there. It speaks over the socket that it inherits as SOCKET, and
writes its stacks into STACKS when it gets `STACK_SIGNAL`, whatever the model does. Its
file descriptors 1 and 2 are pipes to the server, so whatever C code or a child process of the model
writes there cannot disturb the protocol. It ends when its socket does. Should its loop be held up
by the model at that moment, the kernel ends it together with its parent (Linux).
"""

import asyncio
import contextlib
import ctypes
import faulthandler
import os
import signal
import socket
import sys

import msgspec

from servekit.runtime.death import LOST_CONNECTION
from servekit.runtime.link import SocketLink
from servekit.runtime.logs import routed_output
from servekit.runtime.protocol import ToServer, ToWorker, decode_to_worker
from servekit.runtime.settings import SETTINGS_VARIABLE, WorkerSettings
from servekit.runtime.stack import STACK_SIGNAL
from servekit.runtime.worker import Worker

__all__ = ["main"]


def main(arguments: list[str]) -> None:
    """Run a worker until its server lets go of it."""
    settings = msgspec.json.decode(os.environ.pop(SETTINGS_VARIABLE), type=WorkerSettings)
    parent, link, stacks = map(int, arguments)
    _die_with_parent(parent)
    connection = socket.socket(fileno=link)
    connection.set_inheritable(False)
    _write_stacks_into(stacks)
    # Ctrl-C in a terminal reaches the whole process group; the server decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner, routed_output():
        runner.run(_serve(settings, connection))
    _leave(0)


def _write_stacks_into(pipe: int) -> None:
    os.set_inheritable(pipe, False)
    if STACK_SIGNAL is not None:
        faulthandler.register(STACK_SIGNAL, file=pipe, all_threads=True)


async def _serve(settings: WorkerSettings, connection: socket.socket) -> None:
    """Work until the end; should that come by the loss of the connection, end the process."""
    is_lost = False

    def on_closed() -> None:
        nonlocal is_lost
        is_lost = not worker.closed.is_set()
        worker.close()

    link: SocketLink[ToServer, ToWorker] = SocketLink(decode_to_worker)
    worker = Worker(settings, link, has_own_process=True)
    link.attach(worker.handle, on_closed)
    await asyncio.get_running_loop().create_connection(lambda: link, sock=connection)
    worker.load()
    await worker.closed.wait()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(link.closed(), _FAREWELL_SECONDS)
    if is_lost:
        # Here, since the loop cannot be closed if the model has closed the loop's own sockets as well.
        _leave(LOST_CONNECTION)


def _leave(code: int) -> None:
    """End the process. Threads that the model started must not keep a worker alive that is done."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _loop_factory() -> type[asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415 - not on every platform
    except ImportError:
        return None
    return uvloop.Loop


_FAREWELL_SECONDS = 5.0
"""How long the last messages may take to leave; a server that does not read them has its own troubles."""

_PR_SET_PDEATHSIG = 1


def _die_with_parent(parent: int) -> None:
    """Ask the kernel to kill this process when its parent ends, however that comes about (prctl(2), Linux)."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it ended before the request above
        os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
