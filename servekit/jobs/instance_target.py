"""Rows, run by a predictor that its caller has made, in this process."""

import contextlib
import tempfile
from collections.abc import AsyncIterator, Generator
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from servekit.errors import InputError, UsageError
from servekit.jobs.rows import Outcome, Row
from servekit.jobs.target import CoroutineTarget
from servekit.runtime.files import FetchLimits, FileSource
from servekit.runtime.prediction import Status
from servekit.signature import Signature, inspect_signature
from servekit.threads import asyncify

__all__ = ["HasPredict", "InstanceTarget"]


@runtime_checkable
class HasPredict(Protocol):
    """An instance of a predictor, whatever it inherits from."""

    def predict(self, *args: Any, **kwargs: Any) -> Any:
        """Run one prediction."""


class InstanceTarget(CoroutineTarget):
    """Calls `predict` of an instance: a sync one in a thread, one row at a time, an async one on this loop.

    There is no scope around it. A sync `predict` cannot be interrupted: when its row's time is up the row ends, and the
    next one begins when it has returned.

    Args:
        predictor: The instance; its `setup` was run, if it has one.

    Raises:
        SignatureError: Its `predict` cannot be used.
        UsageError: It takes batches.
    """

    def __init__(self, predictor: HasPredict) -> None:
        super().__init__()
        self._predict = predictor.predict
        self._signature: Signature = inspect_signature(self._predict, f"{type(predictor).__name__}.predict")
        if self._signature.is_batched:
            message = (
                f"{type(predictor).__name__}.predict takes batches, which workers gather; give its class, or the "
                "folder of its project, or call its `batch` method"
            )
            raise UsageError(message)
        self._call_in_thread = asyncify(self._call, limit=1)

    @property
    def slots(self) -> int | None:
        """One for sync code, which need not be safe for threads; of async code only trying can tell."""
        return None if self._signature.is_async else 1

    async def run(self, row: Row) -> Outcome:
        """Run `predict` once."""
        try:
            output = await (self._await(row) if self._signature.is_async else self._call_in_thread(row))
        except InputError as error:
            return Outcome.misfit(error)
        return Outcome(Status.SUCCEEDED, output)

    def _call(self, row: Row) -> bytes:
        with self._files() as files:
            value = self._predict(**self._signature.decode_input(row.raw_input, files))
            if not self._signature.streams:
                return self._signature.encode_output(value)
            return _join([self._signature.encode_output(item) for item in value])

    async def _await(self, row: Row) -> bytes:
        with self._files() as files:
            value = self._predict(**self._signature.decode_input(row.raw_input, files))
            if not self._signature.streams:
                return self._signature.encode_output(await value)
            return await _join_async(value, self._signature)

    @contextlib.contextmanager
    def _files(self) -> Generator[FileSource | None]:
        if not self._signature.uses_files:
            yield None
            return
        with tempfile.TemporaryDirectory(prefix="servekit-row-") as folder:
            yield FileSource(Path(folder), {}, FetchLimits())


async def _join_async(items: AsyncIterator[Any], signature: Signature) -> bytes:
    return _join([signature.encode_output(item) async for item in items])


def _join(items: list[bytes]) -> bytes:
    return b"[%b]" % b",".join(items)
