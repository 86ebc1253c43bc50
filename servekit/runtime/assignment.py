"""One prediction as its worker holds it: its scope, its input as arguments, its output as JSON, its end told.

Who runs it, alone or with others in a batch, is not known here.
"""

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

import msgspec

from servekit.configuration.inheritance import Inheritance, read_overlay
from servekit.configuration.requests import read_overrides
from servekit.errors import CancelationError, InputError, NotReadyError, OutputError, SettingsError, UploadError
from servekit.runtime.failure import author_traceback, describe
from servekit.runtime.files import FileSource
from servekit.runtime.logs import PredictionSink
from servekit.runtime.outputs import OutputWriter
from servekit.runtime.protocol import Completed, Log, Metric, Run, ToServer
from servekit.runtime.settings import WorkerSettings
from servekit.runtime.text import clean
from servekit.runtime.uploading.outputs import UploadedFiles
from servekit.scope import Scope, release_threads
from servekit.signature import Signature
from servekit.threads import ContextThreadPoolExecutor

__all__ = ["Assignment", "Surroundings"]


class Surroundings(Protocol):
    """What a prediction needs of its worker."""

    adopts_threads: bool
    settings: WorkerSettings
    signature: Signature
    predict: Callable[..., Any]
    executor: ContextThreadPoolExecutor
    inheritance: Inheritance

    def post(self, message: ToServer) -> None:
        """Send a message to the server; callable from any thread."""

    async def drained(self) -> None:
        """Wait until the server has taken most of what was posted."""

    def ended(self, key: int) -> None:
        """Take note of a prediction's end; callable from any thread."""


class Assignment:
    """One prediction that a worker was given.

    Args:
        worker: Who was given it.
        run: What is asked for.
        post: Sends what it logs and measures; callable from any thread.

    Attributes:
        run: What is asked for.
        scope: The prediction, as its own code sees it.
        sink: Takes what it logs and measures, until its end.
        outputs: Writes what it gives.
        started_at: When it began to run, on the clock of `time.perf_counter`.
        batch_size: With how many it ran, itself included; None if it runs alone.
    """

    def __init__(self, worker: Surroundings, run: Run, post: Callable[[Log | Metric], None]) -> None:
        settings = worker.settings
        self.run = run
        self.sink = PredictionSink(run.key, post, settings.max_logs)
        self.scope = Scope(
            run.id,
            sink=self.sink,
            directory=f"{settings.directory}/{run.key}",
            context=None if run.context is None else msgspec.json.decode(run.context),
            deadline=run.deadline,
        )
        upload = settings.upload
        self.outputs = OutputWriter(
            worker.signature,
            settings.max_output,
            None if upload is None else UploadedFiles(upload, self.scope),
        )
        self.started_at = time.perf_counter()
        self.batch_size: int | None = None
        self._worker = worker

    def decode(self) -> dict[str, Any]:
        """Return the arguments for `predict`. Files are fetched here, which may take long.

        Raises:
            InputError: The input does not fit.
        """
        signature = self._worker.signature
        files = None
        if signature.uses_files:
            files = FileSource(
                self.scope.temp_dir,
                {token: os.fsdecode(path) for token, path in (self.run.uploads or {}).items()},
                self._worker.settings.fetch,
                lambda: self.scope.cancelled,
            )
        return signature.decode_input(self.run.input, files)

    @property
    def may_override(self) -> bool:
        """Whether there is anything that `read_overrides` has to look at."""
        is_overlaid = self.run.overlay is not None
        return is_overlaid or bool(self.scope.context) or self._worker.inheritance.fault is not None

    def read_overrides(self) -> Mapping[str, Any]:
        """Return the settings that the program which submitted it overlays, and over these what the request overrides.

        Raises:
            InputError: What the request overrides does not fit.
            SettingsError: What the program has configured, or overlays, does not fit.
        """
        fault = self._worker.inheritance.fault
        if fault is not None:
            message = f"the program has configured what cannot be used here: {fault}"
            raise SettingsError(message)
        overlay, context = self.run.overlay, self.scope.context
        values = {} if overlay is None else read_overlay(overlay)
        return {**values, **read_overrides(context)} if context else values

    # ------------------------------------------------------------------ ends

    def succeed(self, output: bytes | None) -> None:
        """Tell that it has ended well, with its output unless that was sent in items."""
        if self.scope.cancelled and self._worker.signature.keeps_canceled:
            self._finish(self._completed("canceled"))
        else:
            self._finish(self._completed("succeeded", output=output))

    def fail(self, error: BaseException) -> None:
        """Tell that it has ended by an error: its code's, its input's, its output's, or that of a cancelation."""
        try:
            completed = self._explain(error)
        except Exception:  # noqa: BLE001 - one of our errors that the author made, or changed, and that does not hold
            completed = self._explain_foreign(error)
        self._finish(completed)

    def _explain(self, error: BaseException) -> Completed:
        if self.scope.cancelled and isinstance(error, _ENDS_OF_CANCELED):
            return self._completed("canceled")
        if isinstance(error, InputError):
            return self._completed("failed", error=clean(str(error)), problems=msgspec.json.encode(error.problems))
        if isinstance(error, UploadError | NotReadyError):
            return self._completed("failed", error=clean(str(error)))
        if isinstance(error, OutputError):
            return self._completed("failed", error=clean(f"the output does not fit: {error}"))
        return self._explain_foreign(error)

    def _explain_foreign(self, error: BaseException) -> Completed:
        return self._completed("failed", error=describe(error), traceback=author_traceback(error))

    def _completed(self, status: Any, **more: Any) -> Completed:
        elapsed = time.perf_counter() - self.started_at
        return Completed(self.run.key, status, elapsed, batch_size=self.batch_size, **more)

    def _finish(self, completed: Completed) -> None:
        self.sink.close()
        if self._worker.adopts_threads:
            release_threads(self.scope)
        completed.has_files = self.scope.has_files
        self._worker.post(completed)
        self._worker.ended(self.run.key)


_ENDS_OF_CANCELED: Final = (CancelationError, asyncio.CancelledError, GeneratorExit)
