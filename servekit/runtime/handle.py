"""A worker as the server sees it: a process with a socket and two pipes, or a thread with a loop.

A handle starts its worker, passes messages both ways, and says once when the worker is gone and why.
It decides nothing; the pool does.
"""

import asyncio
import contextlib
import contextvars
import os
import threading
from collections.abc import Callable, Mapping
from enum import Enum
from functools import partial
from typing import Protocol

import msgspec

from servekit.errors import ServekitError
from servekit.runtime.death import DeathCause, describe_exit, find_cause
from servekit.runtime.failure import describe
from servekit.runtime.link import Link, LocalLink, SocketLink
from servekit.runtime.prediction import Prediction
from servekit.runtime.process import ChildProcess
from servekit.runtime.protocol import ToServer, ToWorker, decode_to_server
from servekit.runtime.settings import WorkerSettings

__all__ = ["ProcessHandle", "ThreadHandle", "WorkerEvents", "WorkerHandle", "WorkerState"]


class WorkerState(Enum):
    """Where a worker is in its life."""

    STARTING = "starting"
    LOADED = "loaded"
    READY = "ready"
    CLOSING = "closing"
    DEAD = "dead"


class WorkerEvents(Protocol):
    """What a handle tells its pool, always on the pool's loop."""

    def on_messages(self, worker: "WorkerHandle", messages: list[ToServer]) -> None:
        """The worker sent messages."""

    def on_output(self, worker: "WorkerHandle", source: str, text: str) -> None:
        """Something wrote to the worker's file descriptors, outside any prediction."""

    def on_death(self, worker: "WorkerHandle", reason: str) -> None:
        """The worker is gone; called once."""


class WorkerHandle:
    """What all workers have in common.

    Attributes:
        number: Counts the workers of a server from 1; a replacement gets a new one.
        running: The predictions in its slots, by key.
        stuck: Keys of predictions that ended for everybody but the worker.
        was_loaded: Its predictor was imported.
        was_ready: It was ready once.
        failure: Why it could not be made ready.
        is_replacement: It was started in the place of one that is gone.
        cause: Why it is gone, or why the server wants it gone; None while it may stay.
        pause: Seconds between its end and the start of its replacement, once they are chosen.
        generation: Counts reloads; a worker of an older generation is not replaced.
        is_abandoned: It was given up with threads of its own still running in this process.
        is_retiring: It gets no new predictions and is closed when nothing runs on it.
        devices: The GPUs it was given.
        replaces: The worker whose place it takes when it is ready.
        has_successor: Another worker is to take its place.
        completed: How many predictions have ended on it.
    """

    def __init__(self, number: int, settings: WorkerSettings, events: WorkerEvents) -> None:
        self.number = number
        self.settings = settings
        self.state = WorkerState.STARTING
        self.running: dict[int, Prediction] = {}
        self.stuck: set[int] = set()
        self.is_abandoned = False
        self.is_retiring = False
        self.devices: tuple[str, ...] = ()
        self.replaces: WorkerHandle | None = None
        self.has_successor = False
        self.completed = 0
        self.generation = 0
        self.was_loaded = False
        self.was_ready = False
        self.failure: ServekitError | None = None
        self.is_replacement = False
        self.cause: DeathCause | None = None
        self._is_killed = False
        self.pause: float | None = None
        self.started_at = asyncio.get_running_loop().time()
        self._events = events
        self._link: Link[ToWorker] | None = None

    @property
    def pid(self) -> int | None:
        """The process, or None for a thread."""
        return None

    @property
    def free_slots(self) -> int:
        """How many more predictions it takes now."""
        if self.state is not WorkerState.READY or self.is_retiring:
            return 0
        return self.settings.concurrency - len(self.running)

    async def start(self) -> None:
        """Start the worker; it loads its predictor and says `Loaded` or `SetupFailed`."""
        raise NotImplementedError

    def send(self, message: ToWorker) -> None:
        """Send a message soon; dropped when the worker is gone."""
        if self._link is not None:
            self._link.post(message)

    def kill(self, cause: DeathCause | None = None) -> None:
        """End the worker now, whatever it does.

        Args:
            cause: Why, if no cause was noted before.
        """
        raise NotImplementedError

    def note_cause(self, cause: DeathCause) -> None:
        """Take note of why the worker ends. Of several causes the first counts: it brought about the others."""
        if self.cause is None:
            self.cause = cause

    def _die(self, cause: DeathCause, reason: str) -> None:
        if self.state is not WorkerState.DEAD:
            # Did it go before the server came to what it had in mind, that is not why.
            if self.cause is None or not (self._is_killed or self.state is WorkerState.CLOSING):
                self.cause = cause
            self.state = WorkerState.DEAD
            self._link = None
            self._events.on_death(self, reason)


class ProcessHandle(WorkerHandle):
    """A worker in a process of its own, started fresh.

    Args:
        python: The interpreter to run it with: the server's own, or that of the spec's environment.
        environment: Its environment variables.
    """

    def __init__(
        self,
        number: int,
        settings: WorkerSettings,
        events: WorkerEvents,
        python: str,
        environment: Mapping[str, str],
    ) -> None:
        super().__init__(number, settings, events)
        self._python = python
        self._environment = environment
        self._process: ChildProcess | None = None
        self._watcher: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The process."""
        return None if self._process is None else self._process.pid

    async def start(self) -> None:
        """Start the process and connect to it."""
        process = self._process = ChildProcess(
            [
                *(self._python, "-u", "-P", "-X", "faulthandler", "-m", "servekit.runtime.child"),
                *(msgspec.json.encode(self.settings).decode(), str(os.getpid())),
            ],
            self.settings.root,
            self._environment,
        )
        link: SocketLink[ToWorker, ToServer] = SocketLink(decode_to_server)
        link.attach(partial(self._events.on_messages, self), self._on_closed)
        self._watcher = asyncio.get_running_loop().create_task(
            self._watch(process, link), context=contextvars.Context()
        )
        self._link = link  # before it is connected: the first message may be there sooner than this task goes on
        try:
            await process.read_output(partial(self._events.on_output, self))
            await asyncio.get_running_loop().create_connection(lambda: link, sock=process.socket)
        except BaseException:
            process.let_go()
            raise

    def kill(self, cause: DeathCause | None = None) -> None:
        """End the process and whatever it started."""
        if self._process is not None and self._process.is_alive:
            if cause is not None:
                self.note_cause(cause)
            self._is_killed = True
            self._process.kill()

    def _on_closed(self) -> None:
        """The socket is gone before the process: a worker without its server has nothing to live for."""
        if self.state is not WorkerState.CLOSING:
            asyncio.get_running_loop().call_later(_LAST_WORDS_SECONDS, self.kill, DeathCause.DISCONNECTED)

    async def _watch(self, process: ChildProcess, link: SocketLink[ToWorker, ToServer]) -> None:
        code = await process.exited()
        # What it said last is still to be read.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(link.closed(), _LAST_WORDS_SECONDS)
        await process.close(_LAST_WORDS_SECONDS)
        link.close()
        self._die(find_cause(code), describe_exit(code, self.cause))


_LAST_WORDS_SECONDS = 1.0
"""How long after its end a worker's pipes are read, and how long after its socket's end it may live."""


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

    def kill(self, cause: DeathCause | None = None) -> None:
        """Give the worker up: a thread cannot be ended from outside, so it is left to itself."""
        self.is_abandoned = True
        reason = "the worker was given up: with isolation: thread, code that does not stop cannot be ended"
        self._is_killed = True
        self._die(cause or DeathCause.STUCK, reason)

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
