"""A worker that a test plays: it says and does what it is told to, at the border where the pool meets its workers."""

import asyncio
from typing import Any, ClassVar

import msgspec

from servekit.runtime.death import DeathCause
from servekit.runtime.handle import WorkerEvents, WorkerHandle, WorkerState
from servekit.runtime.protocol import (
    Cancel,
    Completed,
    HealthCheck,
    Loaded,
    Ping,
    Pong,
    Run,
    Setup,
    Shutdown,
    ToServer,
    ToWorker,
)
from servekit.runtime.settings import WorkerSettings

__all__ = ["FakeWorker"]

LOADED = Loaded(
    input_schema=msgspec.json.encode({"type": "object", "properties": {}}),
    output_schema=b"{}",
    is_async=True,
    streams=True,
    concatenates=False,
    uses_files=False,
    has_secrets=False,
    has_healthcheck=False,
)


class FakeWorker(WorkerHandle):
    """Stands where `ProcessHandle` does, and has its arguments.

    Attributes:
        all: Every one that was made.
        has: The keys of predictions that it was given and has not said the end of.
        was_given: All keys that it was ever given, in order.
        was_asked_to_stop: Those that it was asked to cancel.
        may_set_up: It was told to run `setup`.
        is_told_to_leave: It was told to shut down.
        is_silent: It does not answer the watchdog.
        checks: The numbers of the health checks that it was asked for.
    """

    all: ClassVar[list["FakeWorker"]] = []

    def __init__(self, number: int, settings: WorkerSettings, events: WorkerEvents, *_: Any, **__: Any) -> None:
        super().__init__(number, settings, events)
        self.has: set[int] = set()
        self.was_given: list[int] = []
        self.was_asked_to_stop: set[int] = set()
        self.may_set_up = False
        self.is_told_to_leave = False
        self.is_silent = False
        self.checks: list[int] = []
        self.all.append(self)

    async def start(self) -> None:
        await asyncio.sleep(0)

    def send(self, message: ToWorker) -> None:
        match message:
            case Run():
                self.was_given.append(message.key)
                self.has.add(message.key)
            case Cancel():
                self.was_asked_to_stop.add(message.key)
            case Setup():
                self.may_set_up = True
            case Shutdown():
                self.is_told_to_leave = True
            case HealthCheck():
                self.checks.append(message.number)
            case Ping() if not self.is_silent:
                asyncio.get_running_loop().call_soon(self.say, Pong(message.number, 0.0))
            case _:
                pass

    def kill(self, cause: DeathCause | None = None, *, reason: str | None = None) -> None:
        if cause is not None:
            self.note_cause(cause)
        asyncio.get_running_loop().call_soon(self.die, reason or "it was killed")

    async def read_stack(self, patience_seconds: float) -> str:
        del patience_seconds
        return "a stack"

    def say(self, *messages: ToServer) -> None:
        """Tell the pool something; what an end was told of is over here as well."""
        if self.is_alive:
            self.has -= {message.key for message in messages if isinstance(message, Completed)}
            self._events.on_messages(self, list(messages))

    def die(self, reason: str) -> None:
        """End, for whatever reason."""
        self._die(DeathCause.EXIT, reason)

    @property
    def is_alive(self) -> bool:
        return self.state is not WorkerState.DEAD
