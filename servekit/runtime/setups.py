"""The setups of a pool's workers: how the latest went, and how long one may take."""

import asyncio
import contextvars
from collections.abc import Callable
from typing import Literal

from servekit.errors import PredictorError, ServekitError, SetupError, SignatureError
from servekit.runtime.handle import WorkerHandle
from servekit.runtime.model import SetupRecord
from servekit.runtime.protocol import SetupFailed

__all__ = ["Setups", "explain_death", "explain_failure"]

_LAST_LINES = 20


class Setups:
    """Keeps the record of setups, and their time limits.

    Args:
        timeout_seconds: How long loading, and then setting up, may take.
        on_overdue: Called with a worker that took longer, and the error that says so.

    Attributes:
        failure: Why no worker can be made ready at the moment, or None.
        shown: How the latest setup went, or goes, if none has failed; what has failed is shown until another one ends.
    """

    def __init__(self, timeout_seconds: float, on_overdue: Callable[[WorkerHandle, ServekitError], None]) -> None:
        self.failure: ServekitError | None = None
        self.failed_at = 0.0
        self.shown = self._current = SetupRecord()
        self._timeout_seconds = timeout_seconds
        self._on_overdue = on_overdue
        self._timers: dict[int, asyncio.TimerHandle] = {}

    @property
    def logs(self) -> str:
        """What was printed in the setup that is under way, or was the last."""
        return self._current.logs

    def begin_record(self) -> None:
        """Begin a new record; while workers are ready, the old one stays theirs."""
        self._current = SetupRecord()
        if self.failure is None:
            self.shown = self._current

    def add_log(self, text: str) -> None:
        """Keep what was printed."""
        self._current.add_log(text)

    def succeed(self) -> None:
        """A worker of today's code is ready."""
        self.failure = None
        self._end("succeeded")

    def fail(self, error: ServekitError, *, keeps_record: bool) -> None:
        """A worker could not be made ready; the record stays that of the workers which go on, if there are any."""
        self.failure = error
        self.failed_at = asyncio.get_running_loop().time()
        if not keeps_record:
            self._end("failed", f"{error}\n")

    def limit(self, worker: WorkerHandle) -> None:
        """Begin to count the time that a worker takes."""
        self.release(worker)
        self._timers[worker.number] = asyncio.get_running_loop().call_later(
            self._timeout_seconds, self._expire, worker, context=contextvars.Context()
        )

    def release(self, worker: WorkerHandle) -> None:
        """Stop counting."""
        timer = self._timers.pop(worker.number, None)
        if timer is not None:
            timer.cancel()

    def close(self) -> None:
        """Stop counting for all."""
        for timer in self._timers.values():
            timer.cancel()

    def _end(self, status: Literal["succeeded", "failed"], text: str = "") -> None:
        self._current.end(status, text)
        self.shown = self._current

    def _expire(self, worker: WorkerHandle) -> None:
        limit = f"{self._timeout_seconds:g} seconds (serve.setup_timeout)"
        message = f"{_during(worker)}: it took longer than {limit}; make it faster, or raise the limit"
        self._on_overdue(worker, SetupError(message))


def explain_failure(message: SetupFailed) -> ServekitError:
    """Turn what a worker said of its failure into an error."""
    if not message.traceback:
        kind = SignatureError if message.error_type == SignatureError.__name__ else PredictorError
        return kind(message.message)
    what = "the predictor's module could not be imported" if message.stage == "load" else "setup failed"
    return SetupError(f"{what}: {message.message}\n\n{message.traceback}".rstrip())


def explain_death(worker: WorkerHandle, reason: str, logs: str) -> SetupError:
    """Say that a worker died before it was ready, and what was printed last."""
    last = "\n".join(logs.strip().splitlines()[-_LAST_LINES:])
    return SetupError(f"{_during(worker)}: {reason}" + (f"\n\nIts last output:\n{last}" if last else ""))


def _during(worker: WorkerHandle) -> str:
    return "setup failed" if worker.model is not None else "importing the predictor failed"
