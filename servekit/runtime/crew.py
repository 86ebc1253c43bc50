"""The workers of a pool and their lives: started, set up, asked to go, dead.

How many there should be, and who takes whose place, `places` says. The crew knows nothing of predictions;
what a death means for them the pool says.
"""

import asyncio
import contextlib
import contextvars
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from servekit.errors import NotReadyError, ServekitError, SetupError
from servekit.runtime.capacity import Capacity
from servekit.runtime.death import DeathCause
from servekit.runtime.handle import WorkerHandle, WorkerState
from servekit.runtime.health import HealthChecks
from servekit.runtime.model import Model
from servekit.runtime.observer import PoolObserver
from servekit.runtime.places import Places
from servekit.runtime.protocol import (
    Completed,
    Configured,
    Health,
    Loaded,
    Log,
    Metric,
    Outputs,
    Pong,
    Ready,
    Setup,
    SetupFailed,
    Shutdown,
    ToServer,
)
from servekit.runtime.settings import WorkerSettings
from servekit.runtime.settings_feed import SettingsFeed
from servekit.runtime.setups import Setups, explain_death, explain_failure
from servekit.runtime.worker_factory import WorkerFactory
from servekit.spec import ServeSpec

__all__ = ["Crew", "CrewEvents"]


_OF_PREDICTIONS = (Completed, Outputs, Log, Metric)


class CrewEvents(Protocol):
    """What a crew tells who knows of predictions; an observer has been told before."""

    def on_prediction_message(self, worker: WorkerHandle, message: Completed | Outputs | Log | Metric) -> None:
        """A worker told something about one of its predictions."""

    def on_message_error(self, worker: WorkerHandle, message: ToServer, error: Exception) -> None:
        """A message could not be acted on."""

    def find_misfit(self, worker: WorkerHandle) -> ServekitError | None:
        """Return why a worker that has just been set up cannot be used, or None."""

    def on_worker_ready(self, worker: WorkerHandle) -> None:
        """A worker has free slots now."""

    def on_workers_released(self) -> None:
        """Workers that were ready before have free slots now."""

    def on_worker_gone(self, worker: WorkerHandle, reason: str) -> None:
        """A worker is gone, with whatever ran on it."""

    def on_setup_failure(self) -> None:
        """A worker could not be made ready; it is tried again later."""


class Crew:
    """The workers of one pool.

    Args:
        settings: What workers are told.
        serve: Limits and times.
        capacity: How many workers there may be, and what each gets of the machine.
        events: Who decides what it means for predictions.
        observer: Is told of what happens.
        python: The interpreter for worker processes.

    Attributes:
        workers: All that are not dead.
        model: What the predictor takes and gives, once a worker has loaded it.
        setups: How setups went.
        places: How many workers there should be, and who replaces whom.
        feed: What this process configures, on its way to worker processes.
        was_ready: A worker was ready once.
        has_abandoned: Threads of a worker that was given up may still run in this process.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        serve: ServeSpec,
        capacity: Capacity,
        events: CrewEvents,
        observer: PoolObserver,
        python: str,
    ) -> None:
        self.workers: list[WorkerHandle] = []
        self.model: Model | None = None
        self.setups = Setups(serve.setup_timeout, self._setup_overdue)
        self.places = Places(self, capacity)
        self.was_ready = False
        self.has_abandoned = False
        self._capacity = capacity
        self.feed = SettingsFeed(self.workers)
        self._factory = WorkerFactory(settings, capacity, python, serve.isolation, self.feed)
        self._events = events
        self._observer = observer
        self._health = HealthChecks(serve.healthcheck_timeout, self.spawn)
        self._may_set_up = False
        self._is_closing = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()

    # ------------------------------------------------------------------ life

    async def start_worker(
        self, generation: int, replaces: WorkerHandle | None = None, *, is_replacement: bool = False
    ) -> None:
        """Start a worker.

        Args:
            generation: Of the code that it will load.
            replaces: Whose place it takes when it is ready.
            is_replacement: Whether it comes in the place of one that is gone, or goes.

        Raises:
            NotReadyError: The crew goes.
        """
        if self._is_closing:
            raise NotReadyError(_CLOSING)
        worker = self._factory.make(self, replaces)
        worker.generation = generation
        worker.replaces = replaces
        worker.is_replacement = is_replacement
        self.workers.append(worker)
        if not self.is_ready:
            self.setups.begin_record()
        self.setups.limit(worker)
        try:
            await worker.start()
        except OSError as error:
            self._drop(worker)
            self._fail(worker, SetupError(f"a worker could not be started: {error}"))
            self.places.vacate(worker)
        except BaseException:
            worker.kill()
            if worker.pid is None:  # else its end is yet to come, and `close` waits for it
                self._drop(worker)
            raise
        else:
            self._observer.worker_started(worker)

    def allow_setup(self) -> None:
        """Let workers run `setup`, those that are loaded and those to come."""
        self._may_set_up = True
        for worker in self.workers:
            if worker.state is WorkerState.LOADED:
                self._begin_setup(worker)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition holds.

        Raises:
            ServekitError: A worker could not be loaded or set up meanwhile, or the crew goes.
        """
        while not condition():
            if self._is_closing:
                raise NotReadyError(_CLOSING)
            if self.setups.failure is not None:
                raise self.setups.failure
            self._changed.clear()
            await self._changed.wait()

    @property
    def is_ready(self) -> bool:
        """Whether any worker can take predictions."""
        return any(worker.is_able for worker in self.workers)

    @property
    def expects_slots(self) -> bool:
        """Whether a prediction that waits will come to run, as far as one can know.

        A worker that cannot be made ready says nothing of those that were on their way before: they may well arrive.
        """
        if self.is_ready:
            return True
        if not self.was_ready:
            return False
        return self.setups.failure is None or any(
            worker.state in (WorkerState.STARTING, WorkerState.LOADED)
            and worker.failure is None
            and worker.started_at < self.setups.failed_at
            for worker in self.workers
        )

    @property
    def can_wake(self) -> bool:
        """Whether a prediction may be taken though no worker is ready, as it starts one that is known to work."""
        return self._capacity.least == 0 and self.was_ready and self.setups.failure is None

    def retire(self, worker: WorkerHandle, cause: DeathCause) -> None:
        """Give a worker no new predictions, and close it when it is idle."""
        worker.note_cause(cause)
        worker.is_retiring = True
        self.close_if_idle(worker)

    def release(self) -> None:
        """Let the workers that are held back take predictions."""
        held_back = [worker for worker in self.workers if worker.is_held_back]
        for worker in held_back:
            worker.is_held_back = False
            self.model = worker.model
        if held_back:
            self._events.on_workers_released()

    def give_up(self, worker: WorkerHandle) -> None:
        """Retire a worker with code that does not stop; another one takes its place at once."""
        self.retire(worker, DeathCause.STUCK)
        self._factory.take_devices_from(worker)  # they are those of the one that comes in its place
        self.places.fill(after_loss=True)

    def replace(self, worker: WorkerHandle, reason: str) -> None:
        """Start a successor of a worker, which goes when that is ready."""
        if self.places.replace(worker):
            self._observer.worker_outdated(worker, reason)

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
        self._changed.set()
        self.setups.close()
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

    def spawn(self, body: Coroutine[Any, Any, None]) -> None:
        """Run something that ends with the crew; nothing begins any more while that goes."""
        if self._is_closing:
            body.close()
            return
        task = asyncio.get_running_loop().create_task(body, context=contextvars.Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def check_health(self, patience_seconds: float) -> str | None:
        """Ask every ready worker; return the first complaint, or None when all are well; see `Pool.check_health`."""
        if self.model is None or not self.model.has_healthcheck:
            return None
        ready = (worker for worker in self.workers if worker.state is WorkerState.READY)
        return await self._health.ask(ready, patience_seconds)

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
            self.setups.add_log(text)
        self._observer.worker_output(worker, source, text)

    def on_death(self, worker: WorkerHandle, reason: str) -> None:
        """Replace the worker, unless it was asked to go."""
        self._drop(worker)
        self.has_abandoned |= worker.is_abandoned
        self._health.give_up(worker, reason)
        self._observer.worker_gone(worker, reason)
        self._events.on_worker_gone(worker, reason)
        if not self.is_ready:
            self.release()
        if not self._is_closing and worker.generation == self.places.generation:
            if not worker.was_ready and worker.failure is None:
                self._fail(worker, explain_death(worker, reason, self.setups.logs))
            self.places.vacate(worker)
        self._changed.set()

    # ------------------------------------------------------------------ inside

    def _on_own_message(self, worker: WorkerHandle, message: ToServer) -> None:
        match message:
            case Loaded() | Ready() if worker.state is WorkerState.CLOSING:
                pass  # it has been told to go since
            case Loaded():
                self._on_loaded(worker, message)
            case Ready():
                self._on_ready(worker)
            case SetupFailed():
                self._on_setup_failed(worker, message)
            case Health():
                self._health.take(message)
            case Pong():
                worker.pulse.take(message)
            case Configured():
                self.feed.on_configured(worker)
            case Log():
                self.on_output(worker, message.source, message.text)
            case _:
                pass

    def _on_loaded(self, worker: WorkerHandle, message: Loaded) -> None:
        worker.state = WorkerState.LOADED
        worker.model = Model.from_message(message)
        if message.batch_size is not None:
            worker.slots = message.slots
        self.feed.sync(worker)  # what has changed since it was started
        if not self.is_ready:  # else it is that of those who serve
            self.model = worker.model
        if self._may_set_up:
            self._begin_setup(worker)
        self._changed.set()

    def _begin_setup(self, worker: WorkerHandle) -> None:
        self.setups.limit(worker)
        worker.send(Setup())

    def _on_ready(self, worker: WorkerHandle) -> None:
        misfit = self._events.find_misfit(worker)
        if misfit is not None:
            self._fail(worker, misfit)
            worker.kill()
            return
        worker.is_held_back = self.places.holds_back(worker) and self.is_ready
        if not worker.is_held_back:
            self.model = worker.model
        worker.state = WorkerState.READY
        worker.was_ready = self.was_ready = True
        self.setups.release(worker)
        if worker.generation == self.places.generation:
            self.setups.succeed()
        self._observer.worker_ready(worker)
        self._events.on_worker_ready(worker)
        self.places.occupy(worker)
        self._changed.set()

    def _on_setup_failed(self, worker: WorkerHandle, message: SetupFailed) -> None:
        self._fail(worker, explain_failure(message))
        worker.state = WorkerState.CLOSING

    def _setup_overdue(self, worker: WorkerHandle, error: ServekitError) -> None:
        worker.note_cause(DeathCause.SETUP_TIMEOUT)
        self._fail(worker, error)
        worker.kill()

    def _fail(self, worker: WorkerHandle, error: ServekitError) -> None:
        worker.note_cause(DeathCause.SETUP_FAILED)
        worker.failure = error
        pause = 0.0
        if worker.generation == self.places.generation:  # else it fails with old code, while new code is tried
            self.setups.fail(error, keeps_record=self.is_ready)
            pause = self.places.choose_pause(worker)
        self._observer.setup_failed(error, pause)
        self._events.on_setup_failure()
        self._changed.set()

    # ------------------------------------------------------------------ ends

    def _drop(self, worker: WorkerHandle) -> None:
        self.setups.release(worker)
        self._factory.take_devices_from(worker)
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


_CLOSING = "the server is shutting down"

_KILL_SECONDS = 5.0
"""How long the end of a killed process is waited for; one in an uninterruptible call may take longer."""
