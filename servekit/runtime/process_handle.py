"""A worker in a process of its own."""

import asyncio
import contextlib
import contextvars
import os
import signal
from collections.abc import Mapping
from functools import partial

import msgspec

from servekit.runtime.death import LOST_CONNECTION, DeathCause, describe_exit, find_cause
from servekit.runtime.handle import WorkerEvents, WorkerHandle, WorkerState
from servekit.runtime.link import SocketLink
from servekit.runtime.oom import OomKills
from servekit.runtime.process import ChildProcess
from servekit.runtime.protocol import ToServer, ToWorker, decode_to_server
from servekit.runtime.settings import SETTINGS_VARIABLE, WorkerSettings
from servekit.runtime.stack import describe_state, shorten_stack

__all__ = ["ProcessHandle"]


class ProcessHandle(WorkerHandle):
    """A worker in a process of its own, started fresh.

    Args:
        python: The interpreter to run it with: the server's own, or that of the spec's environment.
        environment: Its environment variables.
        oom_kills: Tells whether the kernel has killed for memory.
    """

    def __init__(
        self,
        number: int,
        settings: WorkerSettings,
        events: WorkerEvents,
        python: str,
        environment: Mapping[str, str],
        oom_kills: OomKills,
    ) -> None:
        super().__init__(number, settings, events)
        self._python = python
        self._environment = environment
        self._oom_kills = oom_kills
        self._kill_reason: str | None = None
        self._process: ChildProcess | None = None
        self._watcher: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The process."""
        return None if self._process is None else self._process.pid

    async def start(self) -> None:
        """Start the process and connect to it."""
        process = self._process = ChildProcess(
            [self._python, "-u", "-P", "-X", "faulthandler", "-m", "servekit.runtime.child", str(os.getpid())],
            self.settings.root,
            {**self._environment, SETTINGS_VARIABLE: msgspec.json.encode(self.settings).decode()},
        )
        link: SocketLink[ToWorker, ToServer] = SocketLink(decode_to_server)
        link.attach(partial(self._events.on_messages, self), partial(self._on_closed, link))
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

    def kill(self, cause: DeathCause | None = None, *, reason: str | None = None) -> None:
        """End the process and whatever it started."""
        if self._process is not None and self._process.is_alive:
            if cause is not None:
                self.note_cause(cause)
            self._is_killed = True
            self._kill_reason = self._kill_reason or reason
            self._process.kill()

    async def read_stack(self, patience_seconds: float) -> str:
        """Have its signal handler write the stacks; if the kernel does not let it run, say that."""
        assert self._process is not None
        state = describe_state(self._process.pid)
        dump = "" if state is not None else await self._process.stacks.ask(self._process.pid, patience_seconds)
        if dump:
            return shorten_stack(dump)
        state = state or describe_state(self._process.pid)
        return f"(no stack: {state or 'the process did not write one in time'})"

    def _on_closed(self, link: SocketLink[ToWorker, ToServer]) -> None:
        """The socket is gone before the process: a worker without its server has nothing to live for."""
        self.is_cut_off = True
        if link.fault is not None:
            self.kill(DeathCause.DISCONNECTED, reason=_GARBLED.format(link.fault))
            return
        seconds = _FAREWELL_SECONDS if self.state is WorkerState.CLOSING else _SOCKETLESS_SECONDS
        kill = partial(self.kill, DeathCause.DISCONNECTED, reason=_SOCKETLESS)
        asyncio.get_running_loop().call_later(seconds, kill, context=contextvars.Context())

    async def _watch(self, process: ChildProcess, link: SocketLink[ToWorker, ToServer]) -> None:
        code = await process.exited()
        process.end_group()  # else its children may hold the socket and the pipes open
        # What it said last is still to be read. A child in a session of its own may hold them open for ever.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WORDS_SECONDS):
                await link.closed()
                await process.output_ended()
        process.close()
        link.close()
        is_oom = self._oom_kills.take() if code == -signal.SIGKILL and not self._is_killed else None
        reason = describe_exit(code, is_oom=is_oom)
        if code == -signal.SIGKILL and self._kill_reason is not None:
            reason = self._kill_reason
        cause = find_cause(code, is_oom=is_oom)
        if code == LOST_CONNECTION and self.state is not WorkerState.CLOSING:
            cause, reason = DeathCause.DISCONNECTED, _SOCKETLESS
        self._die(cause, reason)


_LAST_WORDS_SECONDS = 0.5
"""How long after a worker's end its socket and its pipes are read. What is in them is there at once. Together with
the time below it is less than the second in which a dead worker's predictions end."""

_SOCKETLESS_SECONDS = 0.25
"""How long a worker may live after its socket; one that ends by itself closes it a moment before."""

_FAREWELL_SECONDS = 5.0
"""The same for one that was asked to go: its `teardown` is over, but threads and tasks of the model may hold it up."""

_SOCKETLESS = (
    "the worker closed its connection to the server while it went on, and was ended; most likely the model, "
    "or a library, stopped the event loop, or closed file descriptors that are not its own"
)

_GARBLED = (
    "the worker sent what is not a message of servekit's ({}), and was ended; most likely the model, "
    "or a library, wrote to a file descriptor that is not its own"
)
