"""What happened since the server's start, in plain numbers.

Some of these methods are called for every prediction. They add to integers and floats and do nothing
else; what Prometheus calls metrics is made of them when somebody asks.
"""

import asyncio
import time
from bisect import bisect_left
from enum import StrEnum
from typing import Final

from servekit.errors import BusyError, CallerLimitError, NotReadyError, ServekitError
from servekit.runtime.death import DeathCause
from servekit.runtime.handle import WorkerHandle
from servekit.runtime.observer import PoolObserver
from servekit.runtime.prediction import Prediction, Status
from servekit.server.problems import Refusal

__all__ = ["FINAL", "Histogram", "RefusalReason", "Tally", "WebhookOutcome"]

FINAL: Final = (Status.SUCCEEDED, Status.FAILED, Status.CANCELED)

_PREDICTION_SECONDS: Final = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0),
)
"""From the least that a request costs to the default of `serve.timeout`; between them the usual steps."""

_BATCH_SIZES: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0)

_SETUP_SECONDS: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)


class RefusalReason(StrEnum):
    """Why a request for a prediction came to nothing. The values are labels of a metric, never to be renamed.

    Attributes:
        BUSY: All slots were taken and the queue was full.
        CALLER_LIMIT: Its caller had as many predictions running and waiting as one may.
        NOT_READY: No worker was ready, or the server was shutting down.
        QUEUE: It waited, and left the queue without a slot: its time there was up, or no worker could be made ready.
        INVALID: The request was at fault.
        FAULT: The server was, or its disk.
    """

    BUSY = "busy"
    CALLER_LIMIT = "caller_limit"
    NOT_READY = "not_ready"
    QUEUE = "queue"
    INVALID = "invalid"
    FAULT = "fault"


class WebhookOutcome(StrEnum):
    """What became of a try to deliver a webhook. The values are labels of a metric, never to be renamed.

    Attributes:
        DELIVERED: The receiver took it.
        DROPPED: It did not; a later one has the same news.
        RETRIED: It did not take the last one, and was or will be asked again.
        FAILED: It did not take the last one, and will not be asked again.
    """

    DELIVERED = "delivered"
    DROPPED = "dropped"
    RETRIED = "retried"
    FAILED = "failed"


class Histogram:
    """How many values were how large.

    Attributes:
        bounds: The upper bounds of the buckets, which belong to them; the last bucket has none.
        counts: How many values each bucket has.
        sum: All values together.
    """

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Add a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    @property
    def count(self) -> int:
        """How many values there are."""
        return sum(self.counts)


class Tally(PoolObserver):
    """Counts what the pool tells, and the requests that never reach it.

    A request for a prediction is counted once: under its final status, or under the reason for which it was
    refused. One that only the queue or the worker refuses is no failure of the model, and is counted as refused.

    Attributes:
        durations: Seconds from a prediction's admission to its end, by final status.
        queue_times: Seconds that predictions waited for their slot.
        predict_times: Seconds that predictions ran in the worker.
        first_outputs: Seconds from a prediction's admission to its first output.
        batch_sizes: With how many others predictions ran in one call, themselves included, where they do.
        refusals: How many requests were refused, by reason.
        setups: Seconds from a worker's start until it was ready.
        setup_failures: How many times a worker could not be made ready.
        starts: How many workers were started.
        restarts: How many of them in the place of one that was gone.
        deaths: How many workers are gone, by cause.
        webhooks: How many times a webhook was tried to be delivered, by outcome.
    """

    def __init__(self) -> None:
        self.durations = {status: Histogram(_PREDICTION_SECONDS) for status in FINAL}
        self.queue_times = Histogram(_PREDICTION_SECONDS)
        self.predict_times = Histogram(_PREDICTION_SECONDS)
        self.first_outputs = Histogram(_PREDICTION_SECONDS)
        self.batch_sizes = Histogram(_BATCH_SIZES)
        self.refusals = dict.fromkeys(RefusalReason, 0)
        self.setups = Histogram(_SETUP_SECONDS)
        self.setup_failures = 0
        self.starts = 0
        self.restarts = 0
        self.deaths = dict.fromkeys(DeathCause, 0)
        self.webhooks = dict.fromkeys(WebhookOutcome, 0)

    def request_refused(self, error: Refusal | ServekitError) -> None:
        """A request for a prediction was answered with an error, and there is no prediction."""
        self.refusals[_find_reason(error)] += 1

    def prediction_started(self, prediction: Prediction) -> None:
        """Count how long it waited."""
        self.queue_times.observe(prediction.metrics["queue_time"])

    def prediction_ended(self, prediction: Prediction) -> None:
        """Count how it ended, and how long it took."""
        if prediction.is_refused:
            self.refusals[RefusalReason.QUEUE] += 1
            return
        if prediction.problems is not None:
            self.refusals[RefusalReason.INVALID] += 1
            return
        self.durations[prediction.status].observe(time.perf_counter() - prediction.created_tick)
        measured = prediction.metrics.get
        if (seconds := measured("predict_time")) is not None:
            self.predict_times.observe(seconds)
        if (seconds := measured("time_to_first_output")) is not None:
            self.first_outputs.observe(seconds)
        if prediction.batch_size is not None:
            self.batch_sizes.observe(prediction.batch_size)

    def worker_started(self, worker: WorkerHandle) -> None:
        """Count it."""
        self.starts += 1
        self.restarts += worker.is_replacement

    def worker_ready(self, worker: WorkerHandle) -> None:
        """Count how long that took."""
        self.setups.observe(asyncio.get_running_loop().time() - worker.started_at)

    def worker_gone(self, worker: WorkerHandle, reason: str) -> None:  # noqa: ARG002 - the cause is what can be counted
        """Count why."""
        if worker.cause is not None:
            self.deaths[worker.cause] += 1

    def setup_failed(self, error: ServekitError, retry_seconds: float) -> None:  # noqa: ARG002 - the interface
        """Count it."""
        self.setup_failures += 1


def _find_reason(error: Refusal | ServekitError) -> RefusalReason:
    match error:
        case CallerLimitError():  # before `BusyError`, which it is as well: there may be slots for others
            return RefusalReason.CALLER_LIMIT
        case BusyError():
            return RefusalReason.BUSY
        case NotReadyError():
            return RefusalReason.NOT_READY
        case Refusal(status=status) | ServekitError(http_status=status) if status < _SERVER_AT_FAULT:
            return RefusalReason.INVALID
        case _:
            return RefusalReason.FAULT


_SERVER_AT_FAULT = 500
