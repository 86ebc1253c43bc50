"""One prediction inside a worker: its input decoded, its scope opened, its `predict` run, its end told.

The four kinds of `predict` end in the same `Completed` message. A plain function does all of its
work in one thread and needs no task on the loop; the other three have a task on the worker's loop.

    plain function     thread: decode, predict, encode
    generator          thread: decode, each step and its encoding; the task takes items in batches
    async function     task: decode, await, encode
    async generator    task: decode, each step and its encoding

What a task decodes or encodes is in a thread as soon as there is a file in it.

Cancelation sets the scope's flag and then interrupts: a task by `task.cancel()`, a thread by
`ThreadInterrupt`, a generator also by closing it at its next item.
"""

import asyncio
import contextvars
import inspect
import itertools
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any, Protocol, TypeVar, cast

import msgspec

from servekit.errors import CancelationError, InputError, OutputError, UploadError
from servekit.output_files import FileMetError
from servekit.runtime.failure import author_traceback, describe
from servekit.runtime.files import FileSource
from servekit.runtime.interrupt import ThreadInterrupt
from servekit.runtime.logs import PredictionSink
from servekit.runtime.outputs import OutputWriter
from servekit.runtime.protocol import Completed, Log, Metric, Outputs, Run, ToServer
from servekit.runtime.settings import WorkerSettings
from servekit.runtime.text import clean
from servekit.runtime.uploading.outputs import UploadedFiles
from servekit.scope import Scope, adopt_threads, enter_scope, release_threads
from servekit.signature import Signature
from servekit.threads import ContextThreadPoolExecutor, ThreadBridge

__all__ = ["Execution", "Surroundings"]

_T = TypeVar("_T")


class Surroundings(Protocol):
    """What a prediction needs of its worker."""

    adopts_threads: bool
    settings: WorkerSettings
    signature: Signature
    predict: Callable[..., Any]
    executor: ContextThreadPoolExecutor

    def post(self, message: ToServer) -> None:
        """Send a message to the server; callable from any thread."""

    async def drained(self) -> None:
        """Wait until the server has taken most of what was posted."""

    def ended(self, key: int) -> None:
        """Take note of a prediction's end; callable from any thread."""


_YIELD_TO_LOOP_EVERY = 64
"""Items an async generator may produce without waiting before the loop gets its turn (reference: 64 tokens a send)."""

_LARGE_ITEM_BYTES = 1 << 16
"""An item of this size goes out before the next one is made; small ones go together."""

_BRIDGE_ITEMS = 1024
"""Items of a generator in flight between its thread and the loop; more gains nothing measurable."""


class Execution:
    """One running prediction."""

    def __init__(self, worker: Surroundings, run: Run) -> None:
        self._worker = worker
        self._run = run
        self._interrupt = ThreadInterrupt()
        self._sink = PredictionSink(run.key, self._post, worker.settings.max_logs)
        self._scope = Scope(
            run.id,
            sink=self._sink,
            directory=f"{worker.settings.directory}/{run.key}",
            context=None if run.context is None else msgspec.json.decode(run.context),
            deadline=run.deadline,
        )
        self._task: asyncio.Task[None] | None = None
        self._task_began = False
        self._bridge: ThreadBridge[bytes | Log | Metric] | None = None
        self._bridge_thread: int | None = None
        self._has_notes = False
        self._resumed: asyncio.Future[None] | None = None  # there while it is paused
        self._started_at = time.perf_counter()
        upload = worker.settings.upload
        self._outputs = OutputWriter(
            worker.signature,
            worker.settings.max_output,
            None if upload is None else UploadedFiles(upload, self._scope),
        )

    # ------------------------------------------------------------------ for the worker

    def start(self) -> None:
        """Begin, in a Context that holds nothing but this prediction's scope."""
        context = contextvars.Context()
        context.run(enter_scope, self._scope, self._sink)
        if self._worker.adopts_threads:
            adopt_threads(self._scope, self._sink)
        signature = self._worker.signature
        if not signature.is_async and not signature.streams:
            self._worker.executor.submit(context.run, self._in_thread)
            return
        body: Coroutine[Any, Any, bytes | None]
        if not signature.is_async:
            body = self._stream_from_thread(context)
            context = contextvars.Context()  # the thread's is the generator's alone
        elif signature.streams:
            body = self._stream_from_task()
        else:
            body = self._value_from_task()
        self._task = asyncio.get_running_loop().create_task(self._in_task(body), context=context)

    def cancel(self) -> None:
        """Ask the prediction to stop, by the means of its kind."""
        self._scope.mark_cancelled()
        self.resume()
        if self._worker.signature.is_async:
            # A task that has not begun would vanish without a word if it were cancelled; it looks at the scope itself.
            if self._task is not None and self._task_began:
                self._task.cancel()
            return
        self._interrupt.interrupt()
        if self._bridge is not None:
            self._bridge.stop()

    def pause(self) -> None:
        """Take no further items until `resume`; the generator stops when what is in flight is full."""
        if self._resumed is None and not self._scope.cancelled:
            self._resumed = asyncio.get_running_loop().create_future()

    def resume(self) -> None:
        """Go on taking items."""
        resumed, self._resumed = self._resumed, None
        if resumed is not None and not resumed.done():
            resumed.set_result(None)

    # ------------------------------------------------------------------ kinds

    def _in_thread(self) -> None:
        """A plain function, from beginning to end."""
        try:
            self._interrupt.enter()
            try:
                output = self._outputs.write(self._collect(self._worker.predict(**self._decode())))
            finally:
                self._interrupt.leave()
        except BaseException as error:  # noqa: BLE001 - the border to the author's code; it becomes the prediction's error
            self._fail(error)
        else:
            self._succeed(output)

    async def _in_task(self, body: Coroutine[Any, Any, bytes | None]) -> None:
        self._task_began = True
        try:
            if self._scope.cancelled:
                body.close()
                raise CancelationError
            output = await body
        except BaseException as error:  # noqa: BLE001 - the border to the author's code
            self._fail(error)
        else:
            self._succeed(output)

    async def _value_from_task(self) -> bytes:
        arguments = await self._decode_off_loop()
        value = self._collect(await self._worker.predict(**arguments))
        try:
            return self._outputs.write_at_once(value)
        except FileMetError:
            pass
        return await self._in_executor(self._outputs.write_with_files, value)

    async def _stream_from_task(self) -> None:
        arguments = await self._decode_off_loop()
        items: AsyncIterator[Any] = self._worker.predict(**arguments)
        if inspect.isawaitable(items):
            items = await items
        outputs = self._outputs
        try:
            async for item in items:
                try:
                    encoded = outputs.write_at_once(item)
                except FileMetError:
                    encoded = None
                if encoded is None:
                    encoded = await self._in_executor(outputs.write_with_files, item)
                self._worker.post(Outputs(self._run.key, [encoded]))
                if outputs.count % _YIELD_TO_LOOP_EVERY == 1 or len(encoded) > _LARGE_ITEM_BYTES:
                    await self._may_go_on()
                elif self._resumed is not None:
                    await self._resumed
        finally:
            close = getattr(items, "aclose", None)
            if close is not None:
                await close()

    async def _stream_from_thread(self, context: contextvars.Context) -> None:
        self._bridge = ThreadBridge(
            self._steps,
            context=context,
            executor=self._worker.executor,
            max_queue_size=_BRIDGE_ITEMS,
            on_enter=self._interrupt.enter,
            on_leave=self._interrupt.leave,
        )
        try:
            while True:
                try:
                    items = await self._bridge.next_batch()
                except StopAsyncIteration:
                    return
                for message in self._in_messages(items):
                    self._worker.post(message)
                await self._may_go_on()
        finally:
            await self._bridge.aclose()

    def _in_messages(self, items: list[bytes | Log | Metric]) -> Iterator[Outputs | Log | Metric]:
        """Put items together into messages, up to the next thing that was logged or measured between them."""
        if not self._has_notes:
            yield Outputs(self._run.key, cast("list[bytes]", items))
            return
        for kind, group in itertools.groupby(items, type):
            if kind is bytes:
                yield Outputs(self._run.key, cast("list[bytes]", list(group)))
            else:
                yield from cast("Iterator[Log | Metric]", group)

    def _steps(self) -> Iterator[bytes]:
        """A generator's items, encoded in its own thread."""
        self._bridge_thread = threading.get_ident()
        items = iter(self._worker.predict(**self._decode()))
        try:
            for item in items:
                yield self._outputs.write(item)
        finally:
            close = getattr(items, "close", None)
            if close is not None:
                close()

    # ------------------------------------------------------------------ steps

    def _decode(self) -> dict[str, Any]:
        signature = self._worker.signature
        files = None
        if signature.uses_files:
            files = FileSource(
                self._scope.temp_dir,
                {token: os.fsdecode(path) for token, path in (self._run.uploads or {}).items()},
                self._worker.settings.fetch,
                lambda: self._scope.cancelled,
            )
        return signature.decode_input(self._run.input, files)

    async def _decode_off_loop(self) -> dict[str, Any]:
        if self._worker.signature.uses_files:
            return await self._in_executor(self._decode)
        return self._decode()

    async def _in_executor(self, function: Callable[..., _T], *arguments: Any) -> _T:
        """Run a step that may touch files in a thread, under a copy of the prediction's Context."""
        return await asyncio.wrap_future(self._worker.executor.submit(function, *arguments))

    def _collect(self, value: Any) -> Any:
        """Return a value, or the list of what it gives; an open file gives lines, and is a value all the same."""
        if not self._worker.signature.collects_iterators or hasattr(value, "read"):
            return value
        return [*value] if isinstance(value, Iterator) else value  # pyright: ignore[reportUnknownVariableType] - any

    async def _may_go_on(self) -> None:
        """Let the loop send what there is, and wait while the reader or the socket is behind."""
        await asyncio.sleep(0)
        await self._worker.drained()
        if self._resumed is not None:
            await self._resumed

    def _post(self, message: Log | Metric) -> None:
        """Post from wherever the author's code runs, whole or not at all."""
        is_between_items = self._bridge_thread == threading.get_ident()
        self._interrupt.shielded(self._post_between_items if is_between_items else self._worker.post, message)

    def _post_between_items(self, message: Log | Metric) -> None:
        """Let a message take the way of the items, so that it overtakes none of them."""
        assert self._bridge is not None
        self._has_notes = True
        self._bridge.put(message)

    # ------------------------------------------------------------------ ends

    def _succeed(self, output: bytes | None) -> None:
        if self._scope.cancelled and self._worker.signature.keeps_canceled:
            self._finish(Completed(self._run.key, "canceled", self._elapsed()))
        else:
            self._finish(Completed(self._run.key, "succeeded", self._elapsed(), output))

    def _fail(self, error: BaseException) -> None:
        try:
            completed = self._explain(error)
        except Exception:  # noqa: BLE001 - one of our errors that the author made, or changed, and that does not hold
            completed = self._explain_foreign(error)
        self._finish(completed)

    def _explain(self, error: BaseException) -> Completed:
        key, elapsed = self._run.key, self._elapsed()
        if self._scope.cancelled and isinstance(error, CancelationError | asyncio.CancelledError | GeneratorExit):
            return Completed(key, "canceled", elapsed)
        if isinstance(error, InputError):
            problems = msgspec.json.encode(error.problems)
            return Completed(key, "failed", elapsed, error=clean(str(error)), problems=problems)
        if isinstance(error, UploadError):
            return Completed(key, "failed", elapsed, error=clean(str(error)))
        if isinstance(error, OutputError):
            return Completed(key, "failed", elapsed, error=clean(f"the output does not fit: {error}"))
        return self._explain_foreign(error)

    def _explain_foreign(self, error: BaseException) -> Completed:
        return Completed(
            self._run.key, "failed", self._elapsed(), error=describe(error), traceback=author_traceback(error)
        )

    def _finish(self, completed: Completed) -> None:
        self._sink.close()
        if self._worker.adopts_threads:
            release_threads(self._scope)
        completed.has_files = self._scope.has_files
        self._worker.post(completed)
        self._worker.ended(self._run.key)

    def _elapsed(self) -> float:
        return time.perf_counter() - self._started_at
