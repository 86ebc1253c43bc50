"""What a pool tells whoever writes logs and counts."""

from collections.abc import Callable
from functools import reduce
from typing import Any

from servekit.errors import ServekitError
from servekit.runtime.handle import WorkerHandle
from servekit.runtime.prediction import Prediction
from servekit.runtime.pulse import Hang

__all__ = ["PoolObserver", "join_observers"]


class PoolObserver:
    """Told of what happens in a pool, on its loop. The methods do nothing here; override those of interest."""

    def worker_started(self, worker: WorkerHandle) -> None:
        """A worker's process or thread is started (`worker.is_replacement` tells whether in another's place)."""

    def worker_ready(self, worker: WorkerHandle) -> None:
        """A worker takes predictions."""

    def worker_gone(self, worker: WorkerHandle, reason: str) -> None:
        """A worker is gone, asked to or not: `worker.cause` tells which."""

    def worker_outdated(self, worker: WorkerHandle, reason: str) -> None:
        """A worker is to be replaced as it is old, large or has done enough; it serves until then."""

    def worker_stuck(self, worker: WorkerHandle, prediction: Prediction) -> None:
        """A prediction did not stop when asked; its worker will be replaced."""

    def worker_blocked(self, worker: WorkerHandle, hang: Hang) -> None:
        """A ready worker does not answer; told once for each time."""

    def worker_unblocked(self, worker: WorkerHandle, hang: Hang) -> None:
        """It answers again."""

    def worker_output(self, worker: WorkerHandle, source: str, text: str) -> None:
        """A worker printed outside predictions."""

    def setup_failed(self, error: ServekitError, retry_seconds: float) -> None:
        """A worker could not be made ready; the next try begins after so many seconds."""

    def message_failed(self, worker: WorkerHandle, error: Exception) -> None:
        """What a worker said could not be taken in; a fault of servekit."""

    def prediction_started(self, prediction: Prediction) -> None:
        """A prediction has its slot."""

    def prediction_raised(self, prediction: Prediction, traceback: str) -> None:
        """An author's code raised."""

    def prediction_ended(self, prediction: Prediction) -> None:
        """A prediction has its final status."""


def join_observers(*observers: PoolObserver) -> PoolObserver:
    """Return one observer that passes every event on to several, in this order.

    Those that do nothing with an event are not called for it, so that an event of which only one wants to
    know costs no more than with that one alone: some come with every prediction.
    """
    joined = PoolObserver()
    for name, nothing in vars(PoolObserver).items():
        if name.startswith("_"):
            continue
        listeners = [getattr(each, name) for each in observers if getattr(type(each), name) is not nothing]
        if listeners:
            setattr(joined, name, reduce(_tell_both, listeners))
    return joined


def _tell_both(first: Callable[..., None], second: Callable[..., None]) -> Callable[..., None]:
    def tell(*arguments: Any) -> None:
        first(*arguments)
        second(*arguments)

    return tell
