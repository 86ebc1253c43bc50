"""Rows, run by a local predictor in its workers."""

import asyncio
import sys
import time
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Any, Final, Self

import msgspec

from servekit.errors import InputError, NotReadyError, ServekitError
from servekit.jobs.rows import FailureKind, Outcome, Row
from servekit.jobs.target import Cancel, OnEnd
from servekit.runtime.handle import WorkerHandle
from servekit.runtime.model import Model
from servekit.runtime.observer import PoolObserver, join_observers
from servekit.runtime.pool import Pool
from servekit.runtime.prediction import Prediction, Status
from servekit.runtime.terms import DEFAULT_TERMS, Terms
from servekit.schema import InputChecker
from servekit.spec import Spec

__all__ = ["PoolTarget"]


class PoolTarget:
    """Runs rows in the workers of a spec, and fills all their slots.

    Inputs are checked against the predictor's JSON Schema first, as the server does. The queue that the spec
    describes is for clients that come and go, and is not used: how many rows wait is the job's business.

    Args:
        spec: What to run and how: workers, concurrency and limits are those of the spec.
        python: The interpreter for worker processes; the current one if not given.
        observer: Is told what else happens in the pool.

    Attributes:
        pool: The workers.
        spec: What they run, and how.
    """

    def __init__(self, spec: Spec, *, python: str | None = None, observer: PoolObserver | None = None) -> None:
        own = _Listener(self._on_ended, self._on_slots)
        serve = spec.serve
        queue = serve.queue.model_copy(update={"max": _QUEUE_LENGTH, "timeout": _QUEUE_SECONDS})
        spec = spec.model_copy(update={"serve": serve.model_copy(update={"queue": queue})})
        self.pool = Pool(
            spec,
            python=sys.executable if python is None else python,
            observer=own if observer is None else join_observers(own, observer),
        )
        self.spec = spec
        self._serve = serve
        self._is_elastic = not (serve.workers.is_fixed and serve.concurrency.is_fixed)
        self._listener = own
        self._listeners: list[Callable[[], None]] = []
        self._running: dict[int, OnEnd] = {}
        self._checker: InputChecker | None = None

    # ------------------------------------------------------------------ life

    async def __aenter__(self) -> Self:
        """Start the workers, and wait until one is ready.

        Raises:
            PredictorError: The spec names no predictor that can be used.
            SetupError: The predictor could not be made ready.
        """
        try:
            await self.pool.start()
            model = await self.pool.loaded()
            self._checker = InputChecker(model.input_schema)
            self.pool.set_up()
            await self.pool.ready()
        except BaseException as error:
            await self._close(error)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the workers; `teardown` has its time, but for a moment only when somebody has interrupted."""
        await self._close(error)

    async def _close(self, error: BaseException | None) -> None:
        is_interrupted = isinstance(error, asyncio.CancelledError | KeyboardInterrupt)
        try:
            await self.pool.close(self._serve.cancel_grace if is_interrupted else self._serve.shutdown_grace)
        except BaseException:
            # Interrupted again: nothing is waited for any more, and nothing is left behind all the same.
            self.pool.abandon()
            raise

    # ------------------------------------------------------------------ Target

    @property
    def model(self) -> Model:
        """What the predictor takes and gives; known from the beginning of the `async with` block."""
        assert self.pool.model is not None
        return self.pool.model

    @property
    def slots(self) -> int | None:
        """How many rows run at a time; one more where the pool grows when somebody waits."""
        return self.pool.slots + self._is_elastic

    def listen(self, on_slots: Callable[[], None]) -> Callable[[], None]:
        """Have a function called when there are more slots than before; what is returned ends that."""
        self._listeners.append(on_slots)
        return partial(self._listeners.remove, on_slots)

    def start(self, row: Row, timeout_seconds: float | None, on_end: OnEnd) -> Cancel:
        """Check a row's input and submit it."""
        assert self._checker is not None
        try:
            if not row.is_checked:
                self._checker.check(row.raw_input)
        except InputError as error:
            on_end(Outcome.misfit(error))
            return _do_nothing
        terms = DEFAULT_TERMS if timeout_seconds is None else Terms(timeout=timeout_seconds)
        prediction = self.pool.new_prediction(
            row.raw_input, id=f"row-{row.number}", terms=terms, uploads=row.uploads or None
        )
        self._running[prediction.key] = on_end
        try:
            self.pool.submit(prediction)
        except ServekitError as error:  # busy, or not ready
            del self._running[prediction.key]
            on_end(_refusal(error))
            return _do_nothing
        return partial(self.pool.cancel, prediction, "canceled: the batch job was stopped")

    # ------------------------------------------------------------------ what the pool tells

    def _on_slots(self) -> None:
        for listener in list(self._listeners):
            listener()

    def _on_ended(self, prediction: Prediction) -> None:
        on_end = self._running.pop(prediction.key, None)
        if on_end is not None:
            on_end(self._outcome(prediction))

    def _outcome(self, prediction: Prediction) -> Outcome:
        problems: list[dict[str, Any]] | None = None
        if prediction.problems is not None:
            problems = msgspec.json.decode(prediction.problems)
        return Outcome(
            prediction.status,
            prediction.output,
            prediction.error,
            None if prediction.status is Status.SUCCEEDED else self._find_kind(prediction),
            problems,
            prediction.metrics,
            prediction.logs,
        )

    def _find_kind(self, prediction: Prediction) -> FailureKind:
        if prediction.status is Status.CANCELED:
            return FailureKind.CANCELED
        if prediction.problems is not None:
            return FailureKind.INPUT
        if prediction.is_refused:
            return FailureKind.BUSY
        if prediction.key in self._listener.lost:
            return FailureKind.WORKER_DIED
        if prediction.key != self._listener.raised and self._is_overdue(prediction):
            return FailureKind.TIMEOUT
        return FailureKind.MODEL

    def _is_overdue(self, prediction: Prediction) -> bool:
        limits = [each for each in (prediction.terms.timeout, self._serve.timeout) if each is not None]
        return bool(limits) and time.perf_counter() - prediction.created_tick >= min(limits)


class _Listener(PoolObserver):
    """Passes ends on, and remembers what tells one kind of end from another.

    Attributes:
        lost: The predictions that end now because their worker did.
        raised: The last prediction whose code raised; its end is told next.
    """

    def __init__(self, on_ended: Callable[[Prediction], None], on_slots: Callable[[], None]) -> None:
        self.lost: frozenset[int] = frozenset()
        self.raised = 0
        self._on_ended = on_ended
        self._on_slots = on_slots

    def worker_gone(self, worker: WorkerHandle, reason: str) -> None:  # noqa: ARG002 - the interface
        """Remember which predictions end with it: they do right after this."""
        self.lost = frozenset(worker.running)

    def worker_ready(self, worker: WorkerHandle) -> None:  # noqa: ARG002 - the interface
        """There are more slots."""
        asyncio.get_running_loop().call_soon(self._on_slots)  # the pool counts them after this

    def prediction_raised(self, prediction: Prediction, traceback: str) -> None:  # noqa: ARG002 - the interface
        """Remember it."""
        self.raised = prediction.key

    def prediction_ended(self, prediction: Prediction) -> None:
        """Pass it on."""
        self._on_ended(prediction)


def _refusal(error: ServekitError) -> Outcome:
    seconds = _NOT_READY_SECONDS if isinstance(error, NotReadyError) else None
    return Outcome.failure(FailureKind.BUSY, str(error), retry_after=getattr(error, "retry_after_seconds", seconds))


def _do_nothing() -> None:
    """Stand for the cancel of what is over."""


_QUEUE_LENGTH: Final = 1_000_000
_QUEUE_SECONDS: Final = 1e9
"""No row is refused since a queue is full, or since it has waited: few ever wait there, for a worker's replacement."""

_NOT_READY_SECONDS: Final = 1.0
"""When a row is tried again that came while no worker was ready."""
