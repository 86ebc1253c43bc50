"""A worker on a thread of the server."""

import asyncio
import contextlib
import contextvars
import faulthandler
import tempfile
import threading
from collections.abc import Callable
from functools import partial

from servekit.runtime.death import DeathCause
from servekit.runtime.failure import describe
from servekit.runtime.handle import WorkerEvents, WorkerHandle
from servekit.runtime.link import LocalLink
from servekit.runtime.protocol import ToServer, ToWorker
from servekit.runtime.settings import WorkerSettings
from servekit.runtime.stack import shorten_stack

__all__ = ["ThreadHandle"]


class ThreadHandle(WorkerHandle):
    """A worker on a thread of the server: no isolation, and no hop to another process."""

    def __init__(self, number: int, settings: WorkerSettings, events: WorkerEvents) -> None:
        super().__init__(number, settings, events)
        self._server_loop = asyncio.get_running_loop()

    async def start(self) -> None:
        """Start the thread; returns when its loop runs."""
        begun: asyncio.Future[None] = self._server_loop.create_future()
        link: LocalLink[ToWorker, ToServer] = LocalLink(self._server_loop)
        link.attach(partial(self._events.on_messages, self), _nothing)
        self._link = link  # before the thread is there: its first message may come sooner than this task goes on
        # A thread of its own, under an empty Context whatever the interpreter's default is.
        threading.Thread(
            target=contextvars.Context().run,
            args=(self._run, link, begun),
            name=f"worker-{self.number}",
            daemon=True,
        ).start()
        await begun

    def kill(self, cause: DeathCause | None = None, *, reason: str | None = None) -> None:
        """Give the worker up: a thread cannot be ended from outside, so it is left to itself."""
        self.is_abandoned = True
        self._is_killed = True
        self._die(cause or DeathCause.STUCK, reason or _GIVEN_UP)

    async def read_stack(self, patience_seconds: float) -> str:  # noqa: ARG002 - nothing is waited for
        """Look at the threads of this process: the model runs in some of them."""
        with tempfile.TemporaryFile() as file:
            faulthandler.dump_traceback(file, all_threads=True)
            file.seek(0)
            return shorten_stack(file.read().decode("utf-8", "replace"))

    def _run(self, link: LocalLink[ToWorker, ToServer], begun: asyncio.Future[None]) -> None:
        reason = "the worker's thread ended"
        try:
            with asyncio.Runner(loop_factory=_loop_factory()) as runner:
                runner.run(self._serve(link, begun))
        except BaseException as error:  # noqa: BLE001 - whatever the model did to its loop, the server must learn of it
            reason = f"the worker's loop was ended by {describe(error)}"
        self._call(self._end, begun, reason)

    def _end(self, begun: asyncio.Future[None], reason: str) -> None:
        if not begun.done():
            begun.set_result(None)
        self._die(DeathCause.EXIT, reason)

    async def _serve(self, link: LocalLink[ToWorker, ToServer], begun: asyncio.Future[None]) -> None:
        from servekit.runtime.worker import Worker  # noqa: PLC0415 - only here does a server hold user code

        ours: LocalLink[ToServer, ToWorker] = LocalLink(asyncio.get_running_loop())
        worker = Worker(self.settings, ours)
        ours.attach(worker.handle, worker.close)
        link.join(ours)
        self._call(begun.set_result, None)
        worker.load()
        await worker.closed.wait()

    def _call(self, function: Callable[..., None], *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):  # the server's loop is closed: nobody is left to tell
            self._server_loop.call_soon_threadsafe(function, *arguments)


def _nothing() -> None:
    """The end of a worker's thread is told by the thread itself, after its loop has closed."""


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415 - not on every platform
    except ImportError:
        return None
    return uvloop.new_event_loop


_GIVEN_UP = "the worker was given up: with isolation: thread, code that does not stop cannot be ended"
