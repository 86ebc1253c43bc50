"""What happens in the pool, told to the log and to the store."""

import traceback
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from servekit.errors import ServekitError
from servekit.runtime.failure import hint_at_package
from servekit.runtime.handle import WorkerHandle
from servekit.runtime.observer import PoolObserver
from servekit.runtime.prediction import Prediction, Status
from servekit.runtime.pulse import Hang
from servekit.server.output import MAX_LINE, OutputLog
from servekit.store import Store

if TYPE_CHECKING:  # heavy; the workers are started first
    from structlog.typing import FilteringBoundLogger

__all__ = ["ServerObserver"]

_MAX_TRACEBACK = 16_384
"""Longer tracebacks lose their middle: where it began and how it ended say most."""

_MAX_NAMED = 10
"""How many predictions of a blocked worker its line names."""


class ServerObserver(PoolObserver):
    """Logs what the pool tells, and keeps the store in step.

    Args:
        log: Gives what lines are written to, when the first one is.

    Attributes:
        store: Is told of each prediction's end; set once, before the pool starts.
        was_ready: A worker was ready once.
        is_stopping: The server is shutting down: that workers go is as it should be.
        keeps_old_code: New code is tried while workers with the old one serve; what fails is not tried again.
    """

    def __init__(self, log: "Callable[[], FilteringBoundLogger]") -> None:
        self.store: Store | None = None
        self.was_ready = False
        self.is_stopping = False
        self.keeps_old_code = False
        self._log = log
        self._outputs: dict[int, OutputLog] = {}
        self._raised: Prediction | None = None
        self._told_failure: str | None = None

    def worker_ready(self, worker: WorkerHandle) -> None:
        """Log it."""
        self.was_ready = True
        self._told_failure = None
        self._log().info("worker ready", worker=worker.number, pid=worker.pid)

    def worker_gone(self, worker: WorkerHandle, reason: str) -> None:
        """Log the last of its output, and why it went."""
        output = self._outputs.pop(worker.number, None)
        if output is not None:
            output.close()
        if worker.is_retiring or self.is_stopping or worker.failure is not None:
            self._log().info("worker closed", worker=worker.number)
        else:
            self._log().error("worker died", worker=worker.number, reason=reason)

    def worker_outdated(self, worker: WorkerHandle, reason: str) -> None:
        """Log it."""
        self._log().info("worker is being replaced", worker=worker.number, reason=reason)

    def worker_stuck(self, worker: WorkerHandle, prediction: Prediction) -> None:
        """Log it."""
        self._log().warning(
            "prediction did not stop when asked; its worker is replaced", worker=worker.number, prediction=prediction.id
        )

    def worker_blocked(self, worker: WorkerHandle, hang: Hang) -> None:
        """Log it, with the stacks of its threads."""
        self._log().warning(
            f"worker blocked: {hang.describe()}",
            worker=worker.number,
            pid=worker.pid,
            seconds=round(hang.seconds, 1),
            blocked=hang.where,
            predictions=[prediction.id for prediction in worker.running.values()][:_MAX_NAMED],
            traceback=_cut_middle(hang.stack),
        )

    def worker_unblocked(self, worker: WorkerHandle, hang: Hang) -> None:
        """Log it."""
        self._log().warning(
            "worker answers again", worker=worker.number, pid=worker.pid, seconds=round(hang.seconds, 1)
        )

    def worker_output(self, worker: WorkerHandle, source: str, text: str) -> None:
        """Log what a worker printed, line by line."""
        output = self._outputs.get(worker.number)
        if output is None:
            output = OutputLog(partial(self._log_line, worker.number), partial(self._log_cut, worker.number))
            self._outputs[worker.number] = output
        output.add(source, text)

    def setup_failed(self, error: ServekitError, retry_seconds: float = 0.0) -> None:
        """Log the whole story, with the author's own traceback; once, since each retry tells the same again."""
        text = str(error)
        summary, _, story = text.partition("\n")
        is_known = text == self._told_failure
        self._told_failure = text
        when = f"; retrying in {retry_seconds:.1f} s" if retry_seconds and not self.keeps_old_code else ""
        again = " (as before)" if is_known else ""
        values = {} if is_known else {"traceback": story.strip(), "hint": hint_at_package(story)}
        self._log().error(f"{summary}{again}{when}", **{key: value for key, value in values.items() if value})

    def message_failed(self, worker: WorkerHandle, error: Exception) -> None:
        """Log it: the fault is ours."""
        story = _cut_middle("".join(traceback.format_exception(error)))
        self._log().error("a message of a worker could not be taken in", worker=worker.number, traceback=story)

    def prediction_raised(self, prediction: Prediction, traceback: str) -> None:
        """Log the author's traceback; the end of the prediction is told next."""
        self._raised = prediction
        self._log().error("prediction raised", prediction=prediction.id, traceback=_cut_middle(traceback))

    def prediction_ended(self, prediction: Prediction) -> None:
        """Let the store know, and log what the requests' own lines do not say."""
        if self.store is not None:
            self.store.settle(prediction)
        if prediction.status is not Status.SUCCEEDED:
            # The traceback ends with the error: once is enough.
            error = None if prediction is self._raised else prediction.error
            self._log().info(
                "prediction ended",
                prediction=prediction.id,
                status=prediction.status.value,
                **({} if error is None else {"error": error[:MAX_LINE]}),
            )
        self._raised = None

    def _log_line(self, worker: int, source: str, line: str) -> None:
        self._log().info(line, worker=worker, source=source)

    def _log_cut(self, worker: int, count: int) -> None:
        self._log().warning("the worker printed too much; lines were left out", worker=worker, lines=count)


def _cut_middle(text: str) -> str:
    cut = len(text) - _MAX_TRACEBACK
    if cut <= 0:
        return text
    half = _MAX_TRACEBACK // 2
    return f"{text[:half]}\n[... {cut} characters were cut ...]\n{text[-half:]}"
