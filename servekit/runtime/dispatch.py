"""Where predictions are admitted, given a slot, and brought to an end.

The dispatcher lives on one event loop and needs no locks. Every prediction that it accepts ends: by
its worker's word, by the worker's death, by its deadline, by a cancel, or by the shutdown.
"""

import asyncio
import time
from collections.abc import Callable
from typing import assert_never

from servekit.errors import NotReadyError, ServekitError
from servekit.runtime.admission import Admission
from servekit.runtime.autoscaler import Autoscaler
from servekit.runtime.capacity import Capacity
from servekit.runtime.crew import Crew
from servekit.runtime.deadlines import Deadlines, Limit
from servekit.runtime.handle import WorkerHandle
from servekit.runtime.observer import PoolObserver
from servekit.runtime.placements import Placements
from servekit.runtime.prediction import Prediction, Status
from servekit.runtime.protocol import Completed, GiveUp, Log, Metric, Outputs, Pause, Resume, ToServer
from servekit.runtime.queue import WaitingLine
from servekit.runtime.rate import SlotRate
from servekit.runtime.recycler import Recycler
from servekit.runtime.settings import WorkerSettings
from servekit.runtime.slots import AdaptiveSlots
from servekit.runtime.stops import Ending, Stops
from servekit.spec import ServeSpec

__all__ = ["Dispatcher"]


class Dispatcher:
    """The slots of a crew, with the queue in front of them.

    Args:
        settings: What the workers are told.
        serve: Limits and times.
        capacity: How many workers there may be.
        observer: Is told of ends, deaths and output.
        python: The interpreter for worker processes.
        remove_files: Removes the temporary files under a prediction's key; called when its code has stopped.

    Attributes:
        crew: The workers.
        is_draining: No new predictions are taken.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        serve: ServeSpec,
        capacity: Capacity,
        observer: PoolObserver,
        python: str,
        remove_files: Callable[[int], None],
    ) -> None:
        self.crew = Crew(settings, serve, capacity, self, observer, python)
        self.is_draining = False
        self._serve = serve
        self._observer = observer
        self._remove_files = remove_files
        self._queue = WaitingLine(serve.queue.max, serve.queue.ageing)
        rate = SlotRate()
        self._placements = Placements(self.crew, rate)
        self._admission = Admission(self.crew, self._queue, rate, serve.caller)
        self._deadlines = Deadlines(serve, self._on_limit_passed)
        self._live: dict[int, Prediction] = {}
        self._stops = Stops(serve.cancel_grace, self._on_stop_overdue)
        self._idle = asyncio.Event()
        self._idle.set()
        self._autoscaler = Autoscaler(serve.scaling, capacity, self.crew, self)
        self._recycler = Recycler(serve.recycle, self.crew)
        self._slots = AdaptiveSlots.from_spec(serve, self.crew)

    @property
    def queue_length(self) -> int:
        """How many predictions wait."""
        return len(self._queue)

    @property
    def longest_wait(self) -> float | None:
        """How many seconds the prediction that has waited longest has waited, or None when none waits."""
        first = self._queue.first
        return None if first is None else time.perf_counter() - first.created_tick

    @property
    def slots_per_worker(self) -> int:
        """How many predictions a worker runs at a time, as things are."""
        model = self.crew.model
        if model is not None and model.batch_size is not None:
            return model.slots
        return self._serve.concurrency.max if self._slots is None else self._slots.per_worker

    @property
    def used_slots(self) -> int:
        """How many predictions run."""
        return len(self._placements)

    def retry_after(self) -> int:
        """Seconds after which a refused request has a chance, from the measured rate."""
        return self._admission.retry_after()

    # ------------------------------------------------------------------ predictions

    def submit(self, prediction: Prediction) -> None:
        """Give a prediction a slot, or a place in the queue.

        Raises:
            BusyError: All slots are taken and the queue is full.
            CallerLimitError: Its caller has as many predictions as one may.
            NotReadyError: No worker is ready yet, or the server is going away.
        """
        if self.is_draining:
            message = "the server is shutting down"
            raise NotReadyError(message)
        worker = None if self._queue else self._placements.find_free(prediction)
        if worker is None and self._slots is not None:
            self._slots.want()
        self._admission.enter(prediction, has_slot=worker is not None)
        self._live[prediction.key] = prediction
        self._idle.clear()
        if worker is not None:
            self._place(prediction, worker)
        else:
            self._queue.put(prediction)
            self._deadlines.begin_waiting(prediction)
            self._autoscaler.on_queued()
            if self._placements.may_overtake(prediction):
                self._fill_slots()

    def cancel(self, prediction: Prediction, reason: str) -> None:
        """End a prediction as canceled; one that has ended stays as it is."""
        self._stop(prediction, Status.CANCELED, reason)

    def pause(self, prediction: Prediction) -> None:
        """Let a prediction's generator wait; its reader is behind."""
        worker = self._placements.find_worker(prediction)
        if worker is not None:
            worker.send(Pause(prediction.key))

    def resume(self, prediction: Prediction) -> None:
        """Let it go on."""
        worker = self._placements.find_worker(prediction)
        if worker is not None:
            worker.send(Resume(prediction.key))

    async def drain(self, grace_seconds: float) -> None:
        """Take no new predictions, let those there are finish, and cancel what the grace is too short for."""
        self.is_draining = True
        try:
            async with asyncio.timeout(grace_seconds):
                await self._idle.wait()
        except TimeoutError:
            for prediction in list(self._live.values()):
                self.cancel(prediction, f"canceled: the server is shutting down and waited {grace_seconds:g} seconds")
            await self._idle.wait()  # bounded by cancel_grace

    def open(self) -> None:
        """Begin to look after the number of workers and their age."""
        self._autoscaler.start()
        self._recycler.start()

    def close(self) -> None:
        """Take no new predictions, and end those there are for everybody who waits for them."""
        self.is_draining = True
        self._autoscaler.close()
        self._recycler.close()
        for prediction in list(self._live.values()):
            self._queue.remove(prediction)
            self._end(prediction, Status.CANCELED, "canceled: the server is shutting down")

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
                prediction.add_metric(message.name, message.value, message.mode, is_nested=message.is_nested)
            case _:
                assert_never(message)

    def on_message_error(self, worker: WorkerHandle, message: ToServer, error: Exception) -> None:
        """What a worker said could not be taken in: a fault of servekit, which costs that prediction and no other."""
        self._observer.message_failed(worker, error)
        prediction = worker.running.get(getattr(message, "key", 0))
        if prediction is not None:
            self._stop(prediction, Status.FAILED, f"servekit could not take in what it said: {error!r}")

    def find_misfit(self, worker: WorkerHandle) -> ServekitError | None:
        """Say if it takes more memory than it may before it has done anything."""
        return self._recycler.find_misfit(worker)

    def on_worker_ready(self, worker: WorkerHandle) -> None:
        """Fill its slots from the queue."""
        if self._slots is not None:
            self._slots.give(worker)
        self._fill_slots()

    def on_workers_released(self) -> None:
        """Fill their slots from the queue."""
        self._fill_slots()

    def on_worker_gone(self, worker: WorkerHandle, reason: str) -> None:
        """Its predictions fail at once; nothing else is touched."""
        for prediction in list(worker.running.values()):
            ending = self._stops.find(prediction) or (Status.FAILED, reason)
            prediction.has_files = True
            self._placements.drop(prediction, worker)
            self._end(prediction, *ending)
            self._clear_up(prediction)
        worker.running.clear()
        worker.stuck.clear()

    def on_setup_failure(self) -> None:
        """Those that wait cannot be served for now: let them know."""
        if not self.crew.expects_slots:
            while (prediction := self._queue.take()) is not None:
                prediction.is_refused = True
                self._end(prediction, Status.FAILED, self._admission.explain_unreadiness())
                self._clear_up(prediction)

    # ------------------------------------------------------------------ WatchEvents

    def on_worker_unblocked(self) -> None:
        """Use its slots again."""
        self._fill_slots()

    def on_worker_given_up(self, worker: WorkerHandle, reason: str) -> None:
        """End its predictions now: a process in the kernel's hands takes its time to die."""
        for key, prediction in list(worker.running.items()):
            worker.stuck.add(key)
            self._end(prediction, *self._stops.find(prediction) or (Status.FAILED, reason))

    # ------------------------------------------------------------------ slots

    def _place(self, prediction: Prediction, worker: WorkerHandle) -> None:
        self._placements.take(prediction, worker)
        self._autoscaler.on_placed(len(self._placements))
        self._observer.prediction_started(prediction)
        rank = self._queue.rank(prediction)
        self._placements.run(prediction, worker, self._deadlines.begin_running(prediction), rank)

    def _fill_slots(self) -> None:
        while (prediction := self._queue.head) is not None:
            worker = self._placements.find_free(prediction)
            if worker is None:
                return
            self._queue.remove(prediction)
            limit = self._deadlines.find_passed(prediction)
            if limit is None:
                self._place(prediction, worker)
            else:  # its timer comes later in this turn of the loop
                self._on_limit_passed(prediction, limit)

    # ------------------------------------------------------------------ ends

    def _on_completed(self, worker: WorkerHandle, prediction: Prediction, message: Completed) -> None:
        if self._slots is not None:
            self._slots.learn(worker, prediction, message, len(self._placements), is_wanted=bool(self._queue))
        self._placements.free(prediction, worker)
        worker.completed += 1
        if worker.completed == self._serve.recycle.max_predictions:
            self._recycler.look_at(worker)
        prediction.has_files = prediction.has_files or message.has_files
        # The slot is free before the answer is written: a client that asks again at once finds it.
        if self._queue:
            self._fill_slots()
        if worker.is_retiring:
            self.crew.close_if_idle(worker)
        self._clear_up(prediction)
        if prediction.is_done:
            return
        ending = self._stops.find(prediction)
        if ending is not None:  # whatever the code made of the cancelation, this is what was promised
            self._end(prediction, *ending, predict_time=message.predict_time)
            return
        if message.batch_size is not None:
            prediction.note_batch(message.batch_size)
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

    def _clear_up(self, prediction: Prediction) -> None:
        """Its code has stopped, or never ran: nobody needs its files any more."""
        if prediction.has_files:
            self._remove_files(prediction.key)

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
        self._stops.forget(prediction)
        self._deadlines.end(prediction)
        if self._live.pop(prediction.key, None) is not None:
            self._admission.leave(prediction)
        if not self._live:
            self._idle.set()
        prediction.finish(status, output=output, error=error, problems=problems, predict_time=predict_time)
        self._observer.prediction_ended(prediction)

    def _stop(self, prediction: Prediction, status: Status, reason: str) -> None:
        """Ask a prediction to stop, and see to it that it does."""
        if prediction.is_done or prediction in self._stops:
            return
        is_waiting = self._queue.remove(prediction)
        worker = None if is_waiting else self._placements.find_worker(prediction)
        if worker is None:
            self._end(prediction, status, reason)
            self._clear_up(prediction)
        else:
            self._stops.ask(prediction, worker, (status, reason))

    def _on_limit_passed(self, prediction: Prediction, limit: Limit) -> None:
        prediction.is_refused = limit.is_for_waiting
        self._stop(prediction, Status.FAILED, limit.verdict)

    def _on_stop_overdue(self, prediction: Prediction, worker: WorkerHandle, ending: Ending) -> None:
        """It did not stop. It ends for everybody else; its worker is replaced as soon as that hurts nobody."""
        worker.stuck.add(prediction.key)
        self._end(prediction, *ending)
        self._observer.worker_stuck(worker, prediction)
        self.crew.give_up(worker)
        worker.send(GiveUp(prediction.key))
