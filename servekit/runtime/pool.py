"""Where predictions are admitted, given a slot, and brought to an end.

The pool lives on one event loop and needs no locks. Every prediction that it accepts ends: by its
worker's word, by the worker's death, by its deadline, by a cancel, or by the shutdown.
"""

import asyncio
import contextvars
import itertools
import math
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, assert_never

import msgspec

from servekit.errors import BusyError, NotReadyError, ServekitError
from servekit.runtime.crew import Crew, Model, SetupRecord
from servekit.runtime.files import FetchLimits
from servekit.runtime.handle import WorkerHandle
from servekit.runtime.logs import routed_output
from servekit.runtime.observer import PoolObserver
from servekit.runtime.prediction import Prediction, Status
from servekit.runtime.protocol import Cancel, Completed, Log, Metric, Outputs, Pause, Resume, Run, ToServer
from servekit.runtime.queue import WaitingLine
from servekit.runtime.settings import WorkerSettings
from servekit.spec import Spec

__all__ = ["Pool"]


class Pool:
    """The workers of a spec, with a bounded queue in front of their slots.

    Args:
        spec: What to run and how.
        python: The interpreter for worker processes; the current one if not given.
        observer: Is told of ends, deaths and output; for logs and metrics.
    """

    def __init__(self, spec: Spec, *, python: str, observer: PoolObserver | None = None) -> None:
        self._serve = spec.serve
        self._observer = observer or PoolObserver()
        self._directory = Path(tempfile.mkdtemp(prefix="servekit-"))
        self._crew = Crew(_worker_settings(spec, self._directory), spec.serve, self, python)
        self._queue = WaitingLine(spec.serve.queue.max, spec.serve.queue.timeout, self._queue_overdue)
        self._keys = itertools.count(1)
        self._live: dict[int, Prediction] = {}
        self._placed: dict[int, WorkerHandle] = {}
        self._timers: dict[int, asyncio.TimerHandle] = {}
        self._ending: dict[int, tuple[Status, str]] = {}
        self._idle = asyncio.Event()
        self._idle.set()
        self._is_draining = False
        self._mean_seconds = 1.0
        self._cleanups: set[asyncio.Future[None]] = set()
        self._exits = ExitStack()

    # ------------------------------------------------------------------ life

    async def start(self) -> None:
        """Start the workers; they load the predictor, and wait for `set_up`."""
        if self._serve.isolation == "thread":
            self._exits.enter_context(routed_output())
        await self._crew.start()

    async def loaded(self) -> Model:
        """Wait until the predictor is imported, and return what it takes and gives.

        Raises:
            PredictorError: The spec names something that is not there or is no predictor.
            SetupError: The predictor's module could not be imported; its traceback is in the message.
        """
        await self._crew.until(lambda: self._crew.model is not None)
        assert self._crew.model is not None
        return self._crew.model

    def set_up(self) -> None:
        """Let the workers run `setup`."""
        self._crew.allow_setup()

    async def ready(self) -> None:
        """Wait until a worker takes predictions.

        Raises:
            ServekitError: No worker could be made ready. The pool keeps trying; a later call may succeed.
        """
        await self._crew.until(lambda: self._crew.is_ready)

    async def reload(self) -> None:
        """Replace all workers by new ones with today's code, without a gap.

        Raises:
            ServekitError: The new code could not be made ready; the old workers stay.
        """
        await self._crew.reload()

    async def drain(self, grace_seconds: float) -> None:
        """Take no new predictions, let those there are finish, and cancel what the grace is too short for."""
        self._is_draining = True
        try:
            async with asyncio.timeout(grace_seconds):
                await self._idle.wait()
        except TimeoutError:
            for prediction in list(self._live.values()):
                self.cancel(prediction, f"canceled: the server is shutting down and waited {grace_seconds:g} seconds")
            await self._idle.wait()  # bounded by cancel_grace

    async def close(self, grace_seconds: float = 10.0) -> None:
        """End everything: what still runs, the workers (`teardown` included), temporary files.

        Args:
            grace_seconds: How long `teardown` may take. With 0 the workers are killed.
        """
        self._is_draining = True
        for prediction in list(self._live.values()):
            self._end(prediction, Status.CANCELED, "canceled: the server is shutting down")
        await self._crew.close(grace_seconds)
        if self._cleanups:
            await asyncio.wait(self._cleanups)
        await asyncio.to_thread(shutil.rmtree, self._directory, ignore_errors=True)
        self._exits.close()

    # ------------------------------------------------------------------ state

    @property
    def model(self) -> Model | None:
        """What the predictor takes and gives, once it is known."""
        return self._crew.model

    @property
    def is_ready(self) -> bool:
        """Whether predictions are taken."""
        return self._crew.is_ready and not self._is_draining

    @property
    def is_draining(self) -> bool:
        """Whether the pool is on its way out."""
        return self._is_draining

    @property
    def failure(self) -> ServekitError | None:
        """Why no worker can be made ready at the moment, or None."""
        return self._crew.failure

    @property
    def setup(self) -> SetupRecord:
        """How the latest setup went."""
        return self._crew.setup

    @property
    def free_slots(self) -> int:
        """How many predictions could start now."""
        return sum(worker.free_slots for worker in self._crew.workers)

    @property
    def queue_length(self) -> int:
        """How many predictions wait."""
        return len(self._queue)

    @property
    def workers(self) -> list[WorkerHandle]:
        """The workers that are not dead."""
        return self._crew.workers

    @property
    def has_abandoned_threads(self) -> bool:
        """Whether code that would not stop still runs in this process: only `os._exit` ends it then."""
        return self._crew.has_abandoned

    async def check_health(self) -> str | None:
        """Ask the predictor's `healthcheck`; return its complaint, or None."""
        return await self._crew.check_health()

    # ------------------------------------------------------------------ predictions

    def new_prediction(
        self,
        raw_input: bytes,
        *,
        id: str | None = None,  # noqa: A002 - the field's name everywhere
        shown_input: bytes | None = None,
        context: dict[str, Any] | None = None,
        uploads: Mapping[str, str] | None = None,
        key: int | None = None,
    ) -> Prediction:
        """Make a prediction for `submit`. Its input is checked already; its context is what JSON can hold."""
        model = self._crew.model
        return Prediction(
            secrets.token_hex(13) if id is None else id,
            next(self._keys) if key is None else key,
            raw_input,
            shown_input=shown_input,
            context=None if context is None else msgspec.json.encode(context),
            uploads=uploads,
            streams=model is not None and model.streams,
        )

    def new_key(self) -> int:
        """Take a key in advance, for a prediction whose files arrive before it can be made."""
        return next(self._keys)

    def directory_of(self, key: int) -> Path:
        """Return the folder for a prediction's temporary files, which may not exist."""
        return self._directory / str(key)

    def submit(self, prediction: Prediction) -> None:
        """Give a prediction a slot, or a place in the queue.

        Raises:
            BusyError: All slots are taken and the queue is full.
            NotReadyError: No worker is ready yet, or the server is going away.
        """
        if self._is_draining:
            message = "the server is shutting down"
            raise NotReadyError(message)
        worker = None if self._queue else self._least_loaded()
        if worker is not None:
            self._live[prediction.key] = prediction
            self._idle.clear()
            self._place(prediction, worker)
            return
        if not self._crew.is_ready and (self._crew.failure is not None or not self._crew.was_ready):
            raise NotReadyError(self._not_ready_text())
        if self._queue.is_full:
            message = f"all slots are busy and {len(self._queue)} predictions wait already (serve.queue.max)"
            raise BusyError(message, self._retry_after())
        self._live[prediction.key] = prediction
        self._idle.clear()
        self._queue.put(prediction)

    def cancel(self, prediction: Prediction, reason: str) -> None:
        """End a prediction as canceled; one that has ended stays as it is."""
        self._stop(prediction, Status.CANCELED, reason)

    def pause(self, prediction: Prediction) -> None:
        """Let a prediction's generator wait; its reader is behind."""
        worker = self._placed.get(prediction.key)
        if worker is not None:
            worker.send(Pause(prediction.key))

    def resume(self, prediction: Prediction) -> None:
        """Let it go on."""
        worker = self._placed.get(prediction.key)
        if worker is not None:
            worker.send(Resume(prediction.key))

    def forget(self, prediction: Prediction) -> None:
        """Remove a prediction's temporary files; its record goes."""
        prediction.is_forgotten = True
        if prediction.has_files:
            self.remove_files(prediction.key)

    def remove_files(self, key: int) -> None:
        """Remove the temporary files that stand under a key, in the background."""
        removal = asyncio.get_running_loop().run_in_executor(None, shutil.rmtree, self.directory_of(key), True)
        self._cleanups.add(removal)
        removal.add_done_callback(self._cleanups.discard)

    # ------------------------------------------------------------------ CrewEvents

    def on_prediction_message(self, worker: WorkerHandle, message: Completed | Outputs | Log | Metric) -> None:
        """Fold what a worker tells into the prediction."""
        prediction = worker.running.get(message.key)
        if prediction is None:
            return
        if prediction.is_done and not isinstance(message, Completed):
            return  # it ended for everybody but its code, which would not stop
        match message:
            case Completed():
                self._on_completed(worker, prediction, message)
            case Outputs():
                prediction.add_outputs(message.items)
            case Log():
                prediction.add_log(message.source, message.text)
            case Metric():
                prediction.add_metric(message.name, message.value, message.mode)
            case _:
                assert_never(message)

    def on_message_error(self, worker: WorkerHandle, message: ToServer, error: Exception) -> None:
        """What a worker said could not be taken in: a fault of servekit, which costs that prediction and no other."""
        self._observer.message_failed(worker, error)
        prediction = worker.running.get(getattr(message, "key", 0))
        if prediction is not None:
            self._stop(prediction, Status.FAILED, f"servekit could not take in what it said: {error!r}")

    def on_worker_ready(self, worker: WorkerHandle) -> None:
        """Fill its slots from the queue."""
        self._observer.worker_ready(worker)
        self._fill_slots()

    def on_worker_gone(self, worker: WorkerHandle, reason: str) -> None:
        """Its predictions fail at once; nothing else is touched."""
        self._observer.worker_gone(worker, reason)
        for prediction in list(worker.running.values()):
            status, error = self._ending.get(prediction.key, (Status.FAILED, reason))
            prediction.has_files = True
            self._release(worker, prediction.key)
            if prediction.is_done:
                self._clear_up_late(prediction)
            self._end(prediction, status, error)
        worker.running.clear()
        worker.stuck.clear()

    def on_worker_output(self, worker: WorkerHandle, source: str, text: str) -> None:
        """Pass on what belongs to no prediction."""
        self._observer.worker_output(worker, source, text)

    def on_setup_failure(self, error: ServekitError) -> None:
        """Those that wait cannot be served for now: let them know."""
        self._observer.setup_failed(error)
        if not self._crew.is_ready:
            while (prediction := self._queue.take()) is not None:
                prediction.is_refused = True
                self._end(prediction, Status.FAILED, self._not_ready_text())

    # ------------------------------------------------------------------ slots

    def _least_loaded(self) -> WorkerHandle | None:
        best: WorkerHandle | None = None
        most = 0
        for worker in self._crew.workers:
            free = worker.free_slots
            if free > most:
                best, most = worker, free
        return best

    def _place(self, prediction: Prediction, worker: WorkerHandle) -> None:
        key = prediction.key
        worker.running[key] = prediction
        self._placed[key] = worker
        prediction.start()
        deadline = None
        timeout = self._serve.timeout
        if timeout is not None:
            left = timeout - (time.perf_counter() - prediction.created_tick)
            deadline = time.time() + left
            self._timers[key] = asyncio.get_running_loop().call_later(
                left, self._prediction_overdue, prediction, context=_EMPTY
            )
        uploads = prediction.uploads
        worker.send(
            Run(
                key,
                prediction.id,
                prediction.raw_input,
                prediction.context,
                deadline,
                {token: os.fsencode(path) for token, path in uploads.items()} if uploads else None,
            )
        )
        prediction.raw_input = b""

    def _release(self, worker: WorkerHandle, key: int) -> None:
        """Free a slot."""
        worker.running.pop(key, None)
        worker.stuck.discard(key)
        self._placed.pop(key, None)
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()

    def _fill_slots(self) -> None:
        while self._queue:
            worker = self._least_loaded()
            if worker is None:
                return
            prediction = self._queue.take()
            assert prediction is not None
            self._place(prediction, worker)

    # ------------------------------------------------------------------ ends

    def _on_completed(self, worker: WorkerHandle, prediction: Prediction, message: Completed) -> None:
        key = message.key
        self._release(worker, key)
        self._mean_seconds += 0.1 * (message.predict_time - self._mean_seconds)
        prediction.has_files = prediction.has_files or message.has_files
        # The slot is free before the answer is written: a client that asks again at once finds it.
        if self._queue:
            self._fill_slots()
        if worker.is_retiring:
            self._crew.close_if_idle(worker)
        if prediction.is_done:
            self._clear_up_late(prediction)
            return
        ending = self._ending.get(key) if self._ending else None
        if ending is not None:  # whatever the code made of the cancelation, this is what was promised
            self._end(prediction, *ending, predict_time=message.predict_time)
            return
        if message.traceback is not None:
            self._observer.prediction_raised(prediction, message.traceback)
            if self._serve.tracebacks:
                prediction.add_log("stderr", message.traceback)
        self._end(
            prediction,
            Status(message.status),
            message.error,
            output=message.output,
            problems=message.problems,
            predict_time=message.predict_time,
        )

    def _clear_up_late(self, prediction: Prediction) -> None:
        """Its code has stopped at last; should its record be gone already, nobody else removes its files."""
        if prediction.is_forgotten:
            self.forget(prediction)

    def _end(
        self,
        prediction: Prediction,
        status: Status,
        error: str | None,
        *,
        output: bytes | None = None,
        problems: bytes | None = None,
        predict_time: float | None = None,
    ) -> None:
        if prediction.is_done:
            return
        self._ending.pop(prediction.key, None)
        self._live.pop(prediction.key, None)
        if not self._live:
            self._idle.set()
        prediction.finish(status, output=output, error=error, problems=problems, predict_time=predict_time)
        self._observer.prediction_ended(prediction)

    def _stop(self, prediction: Prediction, status: Status, reason: str) -> None:
        """Ask a prediction to stop, and see to it that it does."""
        key = prediction.key
        if prediction.is_done or key in self._ending:
            return
        if self._queue.remove(prediction):
            self._end(prediction, status, reason)
            return
        worker = self._placed.get(key)
        if worker is None:
            self._end(prediction, status, reason)
            return
        self._ending[key] = (status, reason)
        worker.send(Cancel(key))
        asyncio.get_running_loop().call_later(
            self._serve.cancel_grace, self._cancel_overdue, prediction, worker, context=_EMPTY
        )

    def _prediction_overdue(self, prediction: Prediction) -> None:
        self._stop(
            prediction, Status.FAILED, f"timed out: it took longer than {self._serve.timeout:g} seconds (serve.timeout)"
        )

    def _queue_overdue(self, prediction: Prediction) -> None:
        prediction.is_refused = True
        limit = f"{self._serve.queue.timeout:g} seconds (serve.queue.timeout)"
        self._end(prediction, Status.FAILED, f"no slot became free within {limit}")

    def _cancel_overdue(self, prediction: Prediction, worker: WorkerHandle) -> None:
        """It did not stop. It ends for everybody else; its worker is replaced as soon as that hurts nobody."""
        ending = self._ending.get(prediction.key)
        if ending is None or prediction.key not in worker.running:
            return
        worker.stuck.add(prediction.key)
        self._end(prediction, *ending)
        self._observer.worker_stuck(worker, prediction)
        worker.is_retiring = True
        self._crew.close_if_idle(worker)

    # ------------------------------------------------------------------ words

    def _retry_after(self) -> int:
        slots = sum(worker.settings.concurrency for worker in self._crew.workers) or 1
        seconds = self._mean_seconds * (len(self._queue) + 1) / slots
        return max(1, min(600, math.ceil(seconds)))

    def retry_after(self) -> int:
        """Seconds after which a refused request has a chance, from the measured rate."""
        return self._retry_after()

    def _not_ready_text(self) -> str:
        failure = self._crew.failure
        if failure is None:
            return "setup has not finished yet; wait for /readyz to answer 200"
        summary = str(failure).splitlines()[0]
        return f"no worker is ready: {summary} (the whole story is in /health-check and in the server's log)"


_EMPTY = contextvars.Context()
"""For timers: what they start must not carry the request's Context. Only the loop's thread runs in it."""


def _worker_settings(spec: Spec, directory: Path) -> WorkerSettings:
    serve = spec.serve
    return WorkerSettings(
        predictor=spec.predictor,
        root=str(spec.root),
        directory=str(directory),
        concurrency=serve.concurrency,
        max_output=serve.max_output,
        max_logs=serve.max_logs,
        healthcheck_timeout=serve.healthcheck_timeout,
        fetch=FetchLimits(
            max_bytes=serve.fetch.max_size,
            timeout_seconds=serve.fetch.timeout,
            max_redirects=serve.fetch.redirects,
            allow_private=serve.fetch.allow_private,
        ),
    )
