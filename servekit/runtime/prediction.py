"""A prediction as the server knows it: its events, folded into the state that answers show.

Everything that happens to a prediction is an event with a sequence number from 0. JSON answers, SSE
streams and the command line are readers of that one list. All of it belongs to one event loop.
"""

import asyncio
import contextvars
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import IntEnum, StrEnum
from typing import Any

import msgspec

from servekit.runtime.recorded import fold_metric, fold_nested_metric
from servekit.runtime.terms import DEFAULT_TERMS, Terms

__all__ = ["EventKind", "Prediction", "Snapshot", "Status"]


class Status(StrEnum):
    """Where a prediction stands; the last three are final."""

    STARTING = "starting"
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"


class EventKind(IntEnum):
    """What an event tells; `data` of each kind is JSON text, but for COMPLETED, whose data is the snapshot."""

    START = 0
    OUTPUT = 1
    LOG = 2
    METRIC = 3
    COMPLETED = 4


class Snapshot(msgspec.Struct):
    """The answer: one prediction as JSON shows it. Times are UTC."""

    id: str
    status: Status
    input: msgspec.Raw
    output: msgspec.Raw
    error: str | None
    logs: str
    metrics: dict[str, Any]
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None


_NULL = msgspec.Raw(b"null")
_START, _OUTPUT, _LOG, _METRIC, _COMPLETED = (int(kind) for kind in EventKind)
_to_json = msgspec.json.Encoder().encode


class Prediction:
    """One run of a predictor, from the request on.

    Attributes:
        id: The public name; the client's or made up.
        key: The number that stands for it in the protocol and in file names.
        raw_input: The input as JSON, for the worker; let go of when it has been sent.
        context: Free keys and values for the predictor, as a JSON object; let go of at the end.
        overlay: What the program that submitted it overlays the settings with, for the worker; None if nothing.
        shown_input: The input as answers show it: without secrets.
        terms: How urgent it is, how long it may take, and whose it is.
        created_tick: When it was made, on the clock of `time.perf_counter`.
        started_tick: When it got its slot, on the same clock; 0 before.
        kinds: The kind of each event, one byte each; its length is the number of events.
        data: The data of each event.
        problems: Why the worker refused the input, as a JSON list; None if it did not.
        has_files: It may have a folder of temporary files.
        batch_size: In a batch of how many it ran, itself included; None if it ran alone.
        is_refused: It ended without having run: the queue's time was up, or the server is going away.
        is_shared: It is canceled when the last client goes that has it streamed, and not when who asked for it goes.
        readers: How many clients have its events streamed to them now.
        tells_cancel_reason: Answers say why it was canceled; else only the server's log does.
    """

    __slots__ = (
        "_changed",
        "_done",
        "_logs",
        "_metrics",
        "_output",
        "_outputs",
        "batch_size",
        "completed_at",
        "context",
        "created_at",
        "created_tick",
        "data",
        "error",
        "has_files",
        "id",
        "is_refused",
        "is_shared",
        "key",
        "kinds",
        "overlay",
        "problems",
        "raw_input",
        "readers",
        "shown_input",
        "size",
        "started_at",
        "started_tick",
        "status",
        "streams",
        "tells_cancel_reason",
        "terms",
        "uploads",
    )

    def __init__(
        self,
        id: str,  # noqa: A002 - the field's name everywhere
        key: int,
        raw_input: bytes,
        *,
        shown_input: bytes | None = None,
        context: bytes | None = None,
        uploads: Mapping[str, str] | None = None,
        overlay: bytes | None = None,
        streams: bool = False,
        terms: Terms = DEFAULT_TERMS,
        tells_cancel_reason: bool = True,
    ) -> None:
        self.id = id
        self.key = key
        self.raw_input = raw_input
        self.shown_input = raw_input if shown_input is None else shown_input
        self.context = context
        self.uploads = uploads
        self.overlay = overlay
        self.streams = streams
        self.terms = terms
        self.tells_cancel_reason = tells_cancel_reason
        self.status = Status.STARTING
        self.created_at = time.time()
        self.created_tick = time.perf_counter()
        self.started_at: float | None = None
        self.started_tick = 0.0
        self.completed_at: float | None = None
        self.error: str | None = None
        self.problems: bytes | None = None
        self.is_refused = False
        self.is_shared = False
        self.readers = 0
        self.has_files = bool(uploads)
        self.batch_size: int | None = None
        self.kinds = bytearray()
        self.data: list[bytes] = []
        self.size = len(self.shown_input)
        self._output: bytes | None = None
        self._outputs: list[bytes] = []
        self._logs: list[str] = []
        self._metrics: dict[str, Any] = {}
        self._changed: list[asyncio.Future[None]] = []
        self._done: list[asyncio.Future[None]] = []

    # ------------------------------------------------------------------ state

    @property
    def is_done(self) -> bool:
        """Whether the status is final."""
        return self.completed_at is not None

    @property
    def logs(self) -> str:
        """What it printed so far."""
        return "".join(self._logs)

    @property
    def metrics(self) -> dict[str, Any]:
        """What was measured and recorded so far."""
        return self._metrics

    @property
    def output(self) -> bytes:
        """The output as JSON: the value, or the list of items so far; `null` when there is none."""
        if self._outputs or (self.streams and self.status is Status.SUCCEEDED):
            return b"".join((b"[", b",".join(self._outputs), b"]"))
        return b"null" if self._output is None else self._output

    def snapshot(self) -> bytes:
        """Return the answer as JSON."""
        is_error_told = self.tells_cancel_reason or self.status is not Status.CANCELED
        return _to_json(
            Snapshot(
                id=self.id,
                status=self.status,
                input=msgspec.Raw(self.shown_input),
                output=msgspec.Raw(self.output),
                error=self.error if is_error_told else None,
                logs=self.logs,
                metrics=self._metrics,
                created_at=datetime.fromtimestamp(self.created_at, UTC),
                started_at=None if self.started_at is None else datetime.fromtimestamp(self.started_at, UTC),
                completed_at=None if self.completed_at is None else datetime.fromtimestamp(self.completed_at, UTC),
            ),
        )

    # ------------------------------------------------------------------ what happens to it

    def start(self) -> None:
        """It left the queue and runs."""
        self.status = Status.PROCESSING
        self.started_at = time.time()
        self.started_tick = time.perf_counter()
        self._metrics["queue_time"] = self.started_tick - self.created_tick
        self._append(_START, b'{"id":"%b","status":"processing"}' % self.id.encode())

    def add_outputs(self, items: list[bytes]) -> None:
        """It yielded items, each one JSON text."""
        if not self._outputs:
            self._metrics["time_to_first_output"] = time.perf_counter() - self.created_tick
        self._outputs += items
        self.data += items
        self.kinds += bytes((_OUTPUT,)) * len(items)
        self.size += sum(map(len, items))
        self._wake()

    def add_log(self, source: str, text: str) -> None:
        """It printed."""
        self._logs.append(text)
        self._append(_LOG, _to_json({"source": source, "data": text}))

    def add_metric(self, name: str, value: bytes, mode: str, *, is_nested: bool = False) -> None:
        """It recorded a metric; the worker has made sure that value and mode go together."""
        fold = fold_nested_metric if is_nested else fold_metric
        fold(self._metrics, name, msgspec.json.decode(value), mode)
        self._append(_METRIC, _to_json({"name": name, "value": msgspec.Raw(value), "mode": mode}))

    def note_batch(self, size: int) -> None:
        """It ran in a batch of so many, itself included; what the author has recorded by that name stays."""
        self.batch_size = size
        self._metrics.setdefault("batch_size", size)

    def finish(
        self,
        status: Status,
        *,
        output: bytes | None = None,
        error: str | None = None,
        problems: bytes | None = None,
        predict_time: float | None = None,
    ) -> None:
        """It ended. Of several ends the first counts."""
        if self.is_done:
            return
        self.status = status
        self.error = error
        self.problems = problems
        self.completed_at = time.time()
        if predict_time is not None:
            self._metrics["predict_time"] = predict_time
        if output is not None:
            # A value is an output event as an item is: readers of events need no second way to it.
            self._output = output
            self._metrics["time_to_first_output"] = time.perf_counter() - self.created_tick
            self.kinds.append(_OUTPUT)
            self.data.append(output)
            self.size += len(output)
        self.raw_input = b""
        self.context = None
        self.uploads = None
        self.size += len(error or "")
        self._append(_COMPLETED, b"")
        for waiter in self._done:
            _release(waiter)
        self._done.clear()

    # ------------------------------------------------------------------ readers

    async def done(self) -> None:
        """Wait for the end."""
        if not self.is_done:
            await self._wait(self._done)

    def when_done(self, tell: Callable[[], None]) -> None:
        """Have a function called in the turn of the loop after the end; for who waits for many and has one task."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiter.add_done_callback(lambda _: tell(), context=contextvars.Context())
        if self.is_done:
            _release(waiter)
        else:
            self._done.append(waiter)

    async def changed(self, seen: int) -> None:
        """Wait until there are more than `seen` events, or until `nudge`: look again in any case."""
        if len(self.kinds) <= seen and not self.is_done:
            await self._wait(self._changed)

    def nudge(self) -> None:
        """Let all who wait in `changed` look again, though nothing has happened."""
        self._wake()

    async def _wait(self, waiters: list[asyncio.Future[None]]) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter in waiters:
                waiters.remove(waiter)
            raise

    def _append(self, kind: int, data: bytes) -> None:
        self.kinds.append(kind)
        self.data.append(data)
        self.size += len(data)
        self._wake()

    def _wake(self) -> None:
        if self._changed:
            for waiter in self._changed:
                _release(waiter)
            self._changed.clear()


def _release(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
