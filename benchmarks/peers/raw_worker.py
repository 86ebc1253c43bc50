"""A bare ASGI application whose predictor runs in one worker process, over a Unix socket."""

import asyncio
import itertools
import socket
import subprocess
import sys
from collections.abc import AsyncIterator

import uvloop

from benchmarks.peers.asgi import make_app, serve
from benchmarks.peers.common import load_predictor, read_options
from benchmarks.peers.engine import Engine
from benchmarks.peers.frames import FramedProtocol, Kind

_WORKER_FLAG = "--worker-socket"


class RemoteEngine:
    """The predictor in a worker process."""

    def __init__(self) -> None:
        self.is_stream = load_predictor().is_stream
        self._ids = itertools.count()
        self._answers: dict[int, asyncio.Future[bytes]] = {}
        self._streams: dict[int, asyncio.Queue[bytes | None]] = {}
        self._protocol = FramedProtocol(self._take)

    async def start(self) -> None:
        """Start the worker and wait until it says that it is ready."""
        ours, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-m", "benchmarks.peers.raw_worker", _WORKER_FLAG, str(theirs.fileno())]
            subprocess.Popen(command, pass_fds=[theirs.fileno()])  # noqa: ASYNC220 at start only
        loop = asyncio.get_running_loop()
        ready = self._answers[next(self._ids)] = loop.create_future()
        await loop.create_unix_connection(lambda: self._protocol, sock=ours)
        await ready

    async def predict(self, body: bytes) -> bytes:
        """Send the input over and wait for the answer."""
        request = next(self._ids)
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._answers[request] = answer
        self._protocol.write(request, Kind.RUN, body)
        return await answer

    async def stream(self, body: bytes) -> AsyncIterator[bytes]:
        """Send the input over and pass on the events as they come."""
        request = next(self._ids)
        parts = self._streams[request] = asyncio.Queue()
        self._protocol.write(request, Kind.RUN, body)
        while (part := await parts.get()) is not None:
            yield part
        del self._streams[request]

    def _take(self, request: int, kind: Kind, payload: bytes) -> None:
        if kind is Kind.ANSWER:
            self._answers.pop(request).set_result(payload)
        else:
            self._streams[request].put_nowait(payload if kind is Kind.PART else None)


async def run_worker(descriptor: int) -> None:
    """Serve the predictor on a socket until that closes."""
    engine = Engine()
    tasks: set[asyncio.Task[None]] = set()

    async def run(request: int, body: bytes) -> None:
        if not engine.is_stream:
            protocol.write(request, Kind.ANSWER, await engine.predict(body))
            return
        async for part in engine.stream(body):
            protocol.write(request, Kind.PART, part)
        protocol.write(request, Kind.END, b"")

    def take(request: int, _kind: Kind, payload: bytes) -> None:
        task = asyncio.ensure_future(run(request, payload))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    protocol = FramedProtocol(take)
    connection = socket.socket(fileno=descriptor)
    await asyncio.get_running_loop().create_unix_connection(lambda: protocol, sock=connection)
    protocol.write(0, Kind.ANSWER, b"")
    await protocol.closed.wait()


if __name__ == "__main__":
    if sys.argv[1] == _WORKER_FLAG:
        uvloop.run(run_worker(int(sys.argv[2])))
    else:
        options = read_options()
        serve(make_app(RemoteEngine(), options.limit), options.port)
