"""Predictions that were asked to stop, and what they end as, whatever their code makes of it."""

import asyncio
import contextvars
from collections.abc import Callable

from servekit.runtime.handle import WorkerHandle
from servekit.runtime.prediction import Prediction, Status
from servekit.runtime.protocol import Cancel

__all__ = ["Ending", "Stops"]

Ending = tuple[Status, str]
"""A final status, and the error that goes with it."""


class Stops:
    """The predictions on workers that have been asked to stop and have not yet ended.

    Args:
        grace_seconds: How long their code may take.
        on_overdue: Is called with a prediction that has not ended by then, and its worker.
    """

    def __init__(self, grace_seconds: float, on_overdue: Callable[[Prediction, WorkerHandle, Ending], None]) -> None:
        self._grace_seconds = grace_seconds
        self._on_overdue = on_overdue
        self._endings: dict[int, Ending] = {}

    def __contains__(self, prediction: Prediction) -> bool:
        return prediction.key in self._endings

    def ask(self, prediction: Prediction, worker: WorkerHandle, ending: Ending) -> None:
        """Ask a prediction to stop, and wait for it no longer than the grace."""
        self._endings[prediction.key] = ending
        worker.send(Cancel(prediction.key))
        asyncio.get_running_loop().call_later(self._grace_seconds, self._look_at, prediction, worker, context=_EMPTY)

    def find(self, prediction: Prediction) -> Ending | None:
        """Return what a prediction ends as because it was asked to stop, or None if it was not."""
        return self._endings.get(prediction.key) if self._endings else None

    def forget(self, prediction: Prediction) -> None:
        """It has ended."""
        self._endings.pop(prediction.key, None)

    def _look_at(self, prediction: Prediction, worker: WorkerHandle) -> None:
        ending = self.find(prediction)
        if ending is not None and prediction.key in worker.running:
            self._on_overdue(prediction, worker, ending)


_EMPTY = contextvars.Context()
"""For timers: what they start must not carry the request's Context. Only the loop's thread runs in it."""
