"""The workers of a pool and their lives: started, set up, replaced, reloaded, closed.

A worker that dies is replaced: at once when it had been ready, after a growing pause when it keeps
dying before that. The crew knows nothing of predictions; what a death means for them the pool says.
"""

import asyncio
import contextlib
import contextvars
from collections.abc import Callable, Coroutine
from typing import Any, Literal, Protocol

from servekit.errors import PredictorError, ServekitError, SetupError, SignatureError
from servekit.runtime.backoff import Backoff
from servekit.runtime.death import DeathCause
from servekit.runtime.handle import ProcessHandle, ThreadHandle, WorkerHandle, WorkerState
from servekit.runtime.health import HealthChecks
from servekit.runtime.model import Model, SetupRecord
from servekit.runtime.protocol import (
    Completed,
    Health,
    Loaded,
    Log,
    Metric,
    Outputs,
    Ready,
    Setup,
    SetupFailed,
    Shutdown,
    ToServer,
)
from servekit.runtime.settings import WorkerSettings
from servekit.spec import ServeSpec

__all__ = ["Crew", "CrewEvents"]


_OF_PREDICTIONS = (Completed, Outputs, Log, Metric)


class CrewEvents(Protocol):
    """What a crew tells its pool."""

    def on_prediction_message(self, worker: WorkerHandle, message: Completed | Outputs | Log | Metric) -> None:
        """A worker told something about one of its predictions."""

    def on_message_error(self, worker: WorkerHandle, message: ToServer, error: Exception) -> None:
        """A message could not be acted on."""

    def on_worker_started(self, worker: WorkerHandle) -> None:
        """A worker's process or thread is started; it loads its predictor now."""

    def on_worker_ready(self, worker: WorkerHandle) -> None:
        """A worker has free slots now."""

    def on_worker_gone(self, worker: WorkerHandle, reason: str) -> None:
        """A worker is gone, with whatever ran on it."""

    def on_worker_output(self, worker: WorkerHandle, source: str, text: str) -> None:
        """A worker printed outside predictions."""

    def on_setup_failure(self, error: ServekitError, retry_seconds: float) -> None:
        """A worker could not be made ready; it is tried again after so many seconds."""


class Crew:
    """The workers of one pool.

    Attributes:
        workers: All that are not dead.
        model: What the predictor takes and gives, once a worker has loaded it.
        failure: Why no worker can be made ready at the moment, or None.
        setup: How the latest setup went, or goes, if none has failed; what has failed is shown until another one ends.
        generation: Counts reloads.
        was_ready: A worker was ready once.
        has_abandoned: Threads of a worker that was given up may still run in this process.
    """

    def __init__(self, settings: WorkerSettings, serve: ServeSpec, events: CrewEvents, python: str) -> None:
        self.workers: list[WorkerHandle] = []
        self.model: Model | None = None
        self.failure: ServekitError | None = None
        self.setup = self._attempt = SetupRecord()
        self.generation = 0
        self.was_ready = False
        self.has_abandoned = False
        self._settings = settings
        self._serve = serve
        self._events = events
        self._python = python
        self._count = 0
        self._backoff = Backoff()
        self._health = HealthChecks(serve.healthcheck_timeout)
        self._may_set_up = False
        self._is_closing = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._timers: dict[int, asyncio.TimerHandle] = {}
        self._changed = asyncio.Event()

    # ------------------------------------------------------------------ life

    async def start(self) -> None:
        """Start all workers."""
        await asyncio.gather(*(self._start_worker() for _ in range(self._serve.workers)))

    def allow_setup(self) -> None:
        """Let workers run `setup`, those that are loaded and those to come."""
        self._may_set_up = True
        for worker in self.workers:
            if worker.state is WorkerState.LOADED:
                self._begin_setup(worker)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition holds.

        Raises:
            ServekitError: A worker could not be loaded or set up meanwhile.
        """
        while not condition():
            if self.failure is not None:
                raise self.failure
            self._changed.clear()
            await self._changed.wait()

    @property
    def is_ready(self) -> bool:
        """Whether any worker can take predictions."""
        return any(worker.state is WorkerState.READY and not worker.is_retiring for worker in self.workers)

    async def reload(self) -> None:
        """Replace all workers by new ones with today's code; the old ones serve until those are ready.

        Raises:
            ServekitError: The new ones could not be made ready; the old ones stay.
        """
        old = list(self.workers)
        self.generation += 1
        self.failure = None
        await asyncio.gather(*(self._start_worker() for _ in range(self._serve.workers)))
        new = [worker for worker in self.workers if worker not in old]
        try:
            await self.until(lambda: all(worker.state is WorkerState.READY for worker in new))
        except ServekitError:
            self.generation -= 1
            for worker in new:
                worker.is_retiring = True
                worker.kill(DeathCause.SETUP_FAILED)
            if any(worker.state is WorkerState.READY for worker in old):
                self.failure = None
            raise
        for worker in old:
            self.retire(worker, DeathCause.RELOADED)

    def retire(self, worker: WorkerHandle, cause: DeathCause) -> None:
        """Give a worker no new predictions, and close it when it is idle."""
        worker.note_cause(cause)
        worker.is_retiring = True
        self.close_if_idle(worker)

    def close_if_idle(self, worker: WorkerHandle) -> None:
        """Close a retiring worker on which nothing runs any more but what will not stop."""
        if not worker.is_retiring or worker.state in (WorkerState.CLOSING, WorkerState.DEAD):
            return
        if len(worker.running) > len(worker.stuck):
            return
        if worker.stuck:
            worker.kill()
        else:
            self._ask_to_close(worker)

    async def close(self, grace_seconds: float) -> None:
        """End all workers: `teardown` first, and by force those that need longer than the grace."""
        self._is_closing = True
        for timer in self._timers.values():
            timer.cancel()
        for task in list(self._tasks):
            task.cancel()
        for worker in self.workers:
            worker.note_cause(DeathCause.SHUTDOWN)
            self._ask_to_close(worker)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_seconds):
                await self._until_gone()
        for worker in list(self.workers):
            worker.kill()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_KILL_SECONDS):
                await self._until_gone()

    async def check_health(self) -> str | None:
        """Ask every ready worker; return the first complaint, or None when all are well."""
        if self.model is None or not self.model.has_healthcheck:
            return None
        return await self._health.ask(worker for worker in self.workers if worker.state is WorkerState.READY)

    # ------------------------------------------------------------------ WorkerEvents

    def on_messages(self, worker: WorkerHandle, messages: list[ToServer]) -> None:
        """Pass on what concerns predictions, and act on the rest."""
        if worker.state is WorkerState.DEAD:
            return
        for message in messages:
            try:
                if isinstance(message, _OF_PREDICTIONS) and not (isinstance(message, Log) and message.key == 0):
                    self._events.on_prediction_message(worker, message)
                else:
                    self._on_own_message(worker, message)
            except Exception as error:  # noqa: BLE001 - the border: a fault here must not cost the whole worker
                self._events.on_message_error(worker, message, error)

    def on_output(self, worker: WorkerHandle, source: str, text: str) -> None:
        """Keep what is printed before a worker is ready, and pass all on."""
        if worker.state in (WorkerState.STARTING, WorkerState.LOADED):
            self._attempt.add_log(text)
        self._events.on_worker_output(worker, source, text)

    def on_death(self, worker: WorkerHandle, reason: str) -> None:
        """Replace the worker, unless it was asked to go."""
        self._drop(worker)
        had_been_ready = worker.was_ready
        self.has_abandoned |= worker.is_abandoned
        self._health.give_up(worker, reason)
        self._events.on_worker_gone(worker, reason)
        if not self._is_closing and worker.generation == self.generation:
            if not had_been_ready and worker.failure is None:
                self._fail(worker, SetupError(f"{_during(worker)}: {reason}{_tail(self._attempt.logs)}"))
            self._schedule_replacement(worker, had_been_ready=had_been_ready)
        self._changed.set()

    # ------------------------------------------------------------------ inside

    def _on_own_message(self, worker: WorkerHandle, message: ToServer) -> None:
        match message:
            case Loaded():
                self._on_loaded(worker, message)
            case Ready():
                self._on_ready(worker)
            case SetupFailed():
                self._on_setup_failed(worker, message)
            case Health():
                self._health.take(message)
            case Log():
                self.on_output(worker, message.source, message.text)
            case _:
                pass

    async def _start_worker(self, *, is_replacement: bool = False) -> None:
        self._count += 1
        worker: WorkerHandle
        if self._serve.isolation == "thread":
            worker = ThreadHandle(self._count, self._settings, self)
        else:
            worker = ProcessHandle(self._count, self._settings, self, self._python)
        worker.generation = self.generation
        worker.is_replacement = is_replacement
        self.workers.append(worker)
        if not self.is_ready:
            self._attempt = SetupRecord()
            if self.failure is None:
                self.setup = self._attempt
        self._limit_setup(worker)
        try:
            await worker.start()
        except OSError as error:
            self._drop(worker)
            self._fail(worker, SetupError(f"a worker could not be started: {error}"))
            self._schedule_replacement(worker, had_been_ready=False)
        except BaseException:
            worker.kill()
            self._drop(worker)
            raise
        else:
            self._events.on_worker_started(worker)

    def _on_loaded(self, worker: WorkerHandle, message: Loaded) -> None:
        worker.state = WorkerState.LOADED
        worker.was_loaded = True
        self.model = Model.from_message(message)
        if self._may_set_up:
            self._begin_setup(worker)
        self._changed.set()

    def _begin_setup(self, worker: WorkerHandle) -> None:
        self._limit_setup(worker)
        worker.send(Setup())

    def _on_ready(self, worker: WorkerHandle) -> None:
        worker.state = WorkerState.READY
        worker.was_ready = self.was_ready = True
        self._cancel_timer(worker)
        if worker.generation == self.generation:
            self.failure = None
            self._end_attempt("succeeded")
        self._events.on_worker_ready(worker)
        self._changed.set()

    def _on_setup_failed(self, worker: WorkerHandle, message: SetupFailed) -> None:
        if not message.traceback:
            kind = SignatureError if message.error_type == SignatureError.__name__ else PredictorError
            self._fail(worker, kind(message.message))
        else:
            what = "the predictor's module could not be imported" if message.stage == "load" else "setup failed"
            self._fail(worker, SetupError(f"{what}: {message.message}\n\n{message.traceback}".rstrip()))
        worker.state = WorkerState.CLOSING

    def _fail(self, worker: WorkerHandle, error: ServekitError) -> None:
        worker.note_cause(DeathCause.SETUP_FAILED)
        worker.failure = error
        self.failure = error
        if not self.is_ready:  # else the record is that of the workers which go on
            self._end_attempt("failed", f"{error}\n")
        self._events.on_setup_failure(error, self._backoff.choose(worker, had_been_ready=False))
        self._changed.set()

    def _end_attempt(self, status: Literal["succeeded", "failed"], text: str = "") -> None:
        self._attempt.end(status, text)
        self.setup = self._attempt

    def _limit_setup(self, worker: WorkerHandle) -> None:
        self._cancel_timer(worker)
        self._timers[worker.number] = asyncio.get_running_loop().call_later(
            self._serve.setup_timeout, self._setup_overdue, worker, context=contextvars.Context()
        )

    def _cancel_timer(self, worker: WorkerHandle) -> None:
        timer = self._timers.pop(worker.number, None)
        if timer is not None:
            timer.cancel()

    def _setup_overdue(self, worker: WorkerHandle) -> None:
        limit = f"{self._serve.setup_timeout:g} seconds (serve.setup_timeout)"
        message = f"{_during(worker)}: it took longer than {limit}; make it faster, or raise the limit"
        worker.note_cause(DeathCause.SETUP_TIMEOUT)
        self._fail(worker, SetupError(message))
        worker.kill()

    def _schedule_replacement(self, worker: WorkerHandle, *, had_been_ready: bool) -> None:
        pause = self._backoff.choose(worker, had_been_ready=had_been_ready)
        self._spawn(self._replace_after(pause))

    async def _replace_after(self, pause: float) -> None:
        await asyncio.sleep(pause)
        # A reload that failed meanwhile may have made this one superfluous.
        current = [each for each in self.workers if each.generation == self.generation and not each.is_retiring]
        if len(current) < self._serve.workers:
            await self._start_worker(is_replacement=True)

    def _drop(self, worker: WorkerHandle) -> None:
        self._cancel_timer(worker)
        if worker in self.workers:
            self.workers.remove(worker)

    def _ask_to_close(self, worker: WorkerHandle) -> None:
        if worker.state not in (WorkerState.CLOSING, WorkerState.DEAD):
            worker.send(Shutdown())
        if worker.state is not WorkerState.DEAD:
            worker.state = WorkerState.CLOSING

    async def _until_gone(self) -> None:
        while self.workers:
            self._changed.clear()
            await self._changed.wait()

    def _spawn(self, body: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(body, context=contextvars.Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


_KILL_SECONDS = 5.0
"""How long the end of a killed process is waited for; one in an uninterruptible call may take longer."""


def _during(worker: WorkerHandle) -> str:
    return "setup failed" if worker.was_loaded else "importing the predictor failed"


def _tail(logs: str, lines: int = 20) -> str:
    kept = logs.strip().splitlines()[-lines:]
    return "\n\nIts last output:\n" + "\n".join(kept) if kept else ""
