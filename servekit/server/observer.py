"""What happens in the pool, told to the log and to the store."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from servekit.errors import ServekitError
from servekit.runtime.handle import WorkerHandle
from servekit.runtime.observer import PoolObserver
from servekit.runtime.prediction import Prediction, Status
from servekit.store import Store

if TYPE_CHECKING:  # heavy; the workers are started first
    from structlog.typing import FilteringBoundLogger

__all__ = ["ServerObserver"]

_MAX_LINE = 4096
"""Longer lines are cut: a log line is read by people and by programs that have limits of their own."""


class ServerObserver(PoolObserver):
    """Logs what the pool tells, and keeps the store in step.

    Args:
        log: Gives what lines are written to, when the first one is.

    Attributes:
        store: Is told of each prediction's end; set once, before the pool starts.
        was_ready: A worker was ready once.
        is_stopping: The server is shutting down: that workers go is as it should be.
    """

    def __init__(self, log: "Callable[[], FilteringBoundLogger]") -> None:
        self.store: Store | None = None
        self.was_ready = False
        self.is_stopping = False
        self._log = log
        self._partial: dict[tuple[int, str], str] = {}

    def worker_ready(self, worker: WorkerHandle) -> None:
        """Log it."""
        self.was_ready = True
        self._log().info("worker ready", worker=worker.number, pid=worker.pid)

    def worker_gone(self, worker: WorkerHandle, reason: str) -> None:
        """Log the last of its output, and why it went."""
        for source in ("stdout", "stderr"):
            rest = self._partial.pop((worker.number, source), "")
            if rest:
                self._log_line(worker, source, rest)
        if worker.is_retiring or self.is_stopping or worker.failure is not None:
            self._log().info("worker closed", worker=worker.number)
        else:
            self._log().error("worker died", worker=worker.number, reason=reason)

    def worker_stuck(self, worker: WorkerHandle, prediction: Prediction) -> None:
        """Log it."""
        self._log().warning(
            "prediction did not stop when asked; its worker is replaced", worker=worker.number, prediction=prediction.id
        )

    def worker_output(self, worker: WorkerHandle, source: str, text: str) -> None:
        """Log what a worker printed, line by line."""
        *lines, rest = (self._partial.pop((worker.number, source), "") + text).split("\n")
        for line in lines:
            self._log_line(worker, source, line)
        if len(rest) > _MAX_LINE:
            self._log_line(worker, source, rest)
        elif rest:
            self._partial[worker.number, source] = rest

    def setup_failed(self, error: ServekitError) -> None:
        """Log the whole story: its traceback is the author's own."""
        summary, _, story = str(error).partition("\n")
        self._log().error(summary, traceback=story.strip() or None)

    def prediction_raised(self, prediction: Prediction, traceback: str) -> None:
        """Log the author's traceback."""
        self._log().error("prediction raised", prediction=prediction.id, traceback=traceback)

    def prediction_ended(self, prediction: Prediction) -> None:
        """Let the store know, and log what the requests' own lines do not say."""
        if self.store is not None:
            self.store.settle(prediction)
        if prediction.status is not Status.SUCCEEDED:
            self._log().info(
                "prediction ended", prediction=prediction.id, status=prediction.status.value, error=prediction.error
            )

    def _log_line(self, worker: WorkerHandle, source: str, line: str) -> None:
        if line.strip():
            self._log().info(line[:_MAX_LINE].rstrip(), worker=worker.number, source=source)
