"""One prediction that runs alone: its input decoded, its scope opened, its `predict` run.

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
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any, TypeVar, cast

from servekit.configuration.overlays import push_layer
from servekit.errors import CancelationError
from servekit.output_files import FileMetError
from servekit.runtime.assignment import Assignment, Surroundings
from servekit.runtime.interrupt import ThreadInterrupt
from servekit.runtime.protocol import Log, Metric, Outputs, Run
from servekit.scope import adopt_threads, enter_scope
from servekit.threads import ThreadBridge

__all__ = ["Execution"]

_T = TypeVar("_T")


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
        self._key = run.key
        self._assignment = Assignment(worker, run, self._post)
        self._scope = self._assignment.scope
        self._outputs = self._assignment.outputs
        self._interrupt = ThreadInterrupt()
        self._task: asyncio.Task[None] | None = None
        self._task_began = False
        self._bridge: ThreadBridge[bytes | Log | Metric] | None = None
        self._bridge_thread: int | None = None
        self._has_notes = False
        self._resumed: asyncio.Future[None] | None = None  # there while it is paused

    # ------------------------------------------------------------------ for the worker

    def start(self) -> None:
        """Begin, in a Context that holds nothing but this prediction's scope."""
        context = contextvars.Context()
        context.run(enter_scope, self._scope, self._assignment.sink)
        if self._worker.adopts_threads:
            adopt_threads(self._scope, self._assignment.sink)
        if self._assignment.may_override and not self._overlay_settings(context):
            return
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

    def _overlay_settings(self, context: contextvars.Context) -> bool:
        """Apply what overrides settings here; the prediction has failed if that does not fit."""
        try:
            context.run(push_layer, context.run(self._assignment.read_overrides))
        except BaseException as error:  # noqa: BLE001 - the border to the author's validators
            self._assignment.fail(error)
            return False
        return True

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

    def give_up(self) -> None:
        """Do nothing: nobody waits behind it in the worker."""

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
                output = self._outputs.write(self._collect(self._worker.predict(**self._assignment.decode())))
            finally:
                self._interrupt.leave()
        except BaseException as error:  # noqa: BLE001 - the border to the author's code; it becomes the prediction's error
            self._assignment.fail(error)
        else:
            self._assignment.succeed(output)

    async def _in_task(self, body: Coroutine[Any, Any, bytes | None]) -> None:
        self._task_began = True
        try:
            if self._scope.cancelled:
                body.close()
                raise CancelationError
            output = await body
        except BaseException as error:  # noqa: BLE001 - the border to the author's code
            self._assignment.fail(error)
        else:
            self._assignment.succeed(output)

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
                self._worker.post(Outputs(self._key, [encoded]))
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
            yield Outputs(self._key, cast("list[bytes]", items))
            return
        for kind, group in itertools.groupby(items, type):
            if kind is bytes:
                yield Outputs(self._key, cast("list[bytes]", list(group)))
            else:
                yield from cast("Iterator[Log | Metric]", group)

    def _steps(self) -> Iterator[bytes]:
        """A generator's items, encoded in its own thread."""
        self._bridge_thread = threading.get_ident()
        items = iter(self._worker.predict(**self._assignment.decode()))
        try:
            for item in items:
                yield self._outputs.write(item)
        finally:
            close = getattr(items, "close", None)
            if close is not None:
                close()

    # ------------------------------------------------------------------ steps

    async def _decode_off_loop(self) -> dict[str, Any]:
        if self._worker.signature.uses_files:
            return await self._in_executor(self._assignment.decode)
        return self._assignment.decode()

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
