"""A worker as the server sees it: a process with a socket and two pipes, or a thread with a loop.

A handle starts its worker, passes messages both ways, and says once when the worker is gone and why.
It decides nothing; the pool does.
"""

import asyncio
from enum import Enum
from typing import Protocol

from servekit.configuration.carrying import Carried
from servekit.errors import ServekitError
from servekit.runtime.death import DeathCause
from servekit.runtime.link import Link
from servekit.runtime.model import Model
from servekit.runtime.prediction import Prediction
from servekit.runtime.protocol import ToServer, ToWorker
from servekit.runtime.pulse import Pulse
from servekit.runtime.settings import WorkerSettings

__all__ = ["WorkerEvents", "WorkerHandle", "WorkerState"]


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
        slots: How many predictions may run on it at a time, as things are; at most `settings.concurrency`, or what a
            predictor that takes batches says.
        running: The predictions in its slots, by key.
        stuck: Keys of predictions that ended for everybody but the worker.
        model: What its predictor takes and gives, once it is imported.
        was_ready: It was ready once.
        failure: Why it could not be made ready.
        is_replacement: It was started in the place of one that is gone.
        cause: Why it is gone, or why the server wants it gone; None while it may stay.
        pause: Seconds between its end and the start of its replacement, once they are chosen.
        generation: Counts reloads; a worker of an older generation is not replaced.
        is_abandoned: It was given up with threads of its own still running in this process.
        is_retiring: It gets no new predictions and is closed when nothing runs on it.
        is_held_back: It is ready, and gets no predictions before the rest of the new code is.
        is_cut_off: It cannot be reached any more; its end comes within a second.
        devices: The GPUs it was given.
        replaces: The worker whose place it takes when it is ready.
        has_successor: Another worker is to take its place.
        completed: How many predictions have ended on it.
        pulse: Whether it answers.
        configured: What it was last told that the program has configured; None if nothing.
        unconfirmed: How many times it was told so and has not answered yet.
    """

    def __init__(self, number: int, settings: WorkerSettings, events: WorkerEvents) -> None:
        self.number = number
        self.settings = settings
        self.state = WorkerState.STARTING
        self.slots = settings.concurrency
        self.running: dict[int, Prediction] = {}
        self.stuck: set[int] = set()
        self.is_abandoned = False
        self.is_retiring = False
        self.is_cut_off = False
        self.is_held_back = False
        self.devices: tuple[str, ...] = ()
        self.replaces: WorkerHandle | None = None
        self.has_successor = False
        self.completed = 0
        self.pulse = Pulse()
        self.configured: Carried | None = None
        self.unconfirmed = 0
        self.generation = 0
        self.model: Model | None = None
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
    def is_able(self) -> bool:
        """Whether it takes predictions, if it has a free slot and answers."""
        is_barred = self.is_retiring or self.is_cut_off or self.is_held_back
        return self.state is WorkerState.READY and not is_barred

    @property
    def free_slots(self) -> int:
        """How many more predictions it takes now."""
        if not self.is_able or self.pulse.hang is not None:
            return 0
        return max(0, self.slots - len(self.running))  # slots that were taken back may be in use still

    def free_slots_at(self, priority: int) -> int:
        """How many more predictions of a priority it takes now, if those of a lower one that it holds do not count."""
        if not self.is_able or self.pulse.hang is not None:
            return 0
        return max(0, self.slots - sum(held.terms.priority >= priority for held in self.running.values()))

    async def start(self) -> None:
        """Start the worker; it loads its predictor and says `Loaded` or `SetupFailed`."""
        raise NotImplementedError

    def send(self, message: ToWorker) -> None:
        """Send a message soon; dropped when the worker is gone."""
        if self._link is not None:
            self._link.post(message)

    def kill(self, cause: DeathCause | None = None, *, reason: str | None = None) -> None:
        """End the worker now, whatever it does.

        Args:
            cause: Why, if no cause was noted before.
            reason: The same in words, for those whose predictions end with it; else what it died of tells.
        """
        raise NotImplementedError

    async def read_stack(self, patience_seconds: float) -> str:
        """Return what its threads are in, or why nothing can be known; taken without its help.

        Raises:
            OSError: It is gone.
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
