"""One call of `predict` for several predictions, as a generator: each step has an item for each of them."""

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from servekit.errors import CancelationError
from servekit.output_files import FileMetError
from servekit.runtime.assignment import Surroundings
from servekit.runtime.batching.call import BatchCall, TaskOfAuthor, encode
from servekit.runtime.batching.member import Member
from servekit.runtime.interrupt import ThreadInterrupt
from servekit.runtime.protocol import Outputs
from servekit.threads import ContextThreadPoolExecutor, ThreadBridge
from servekit.types import END

__all__ = ["StepsFromTask", "StepsFromThread"]

_Piece = tuple[Member, bytes | BaseException | None]
"""What a step has for one member: an item as JSON, its error, or None for its end."""

_STEPS_AHEAD = 64
"""Steps of a generator in flight between its thread and the loop."""


class _Steps(BatchCall):
    """What both kinds have in common."""

    def __init__(self, worker: Surroundings, members: Sequence[Member], files: ContextThreadPoolExecutor) -> None:
        super().__init__(worker, members, files)
        self._going_on = [True] * len(members)

    @property
    def _is_wanted(self) -> bool:
        """Whether any member gets further items."""
        return any(
            goes_on and not member.is_over and not member.assignment.scope.cancelled
            for goes_on, member in zip(self._going_on, self.members, strict=True)
        )

    def _read(self, step: Any) -> Iterator[tuple[int, Member, Any]]:
        """Give the entries of those that go on.

        Raises:
            OutputError: There is not one for each member.
        """
        entries = self.read_entries(step, "yielded")
        for index, (member, entry) in enumerate(zip(self.members, entries, strict=True)):
            if self._going_on[index] and not member.is_over:
                yield index, member, entry

    def _leave_out(self, index: int, error: BaseException) -> _Piece:
        self._going_on[index] = False
        return self.members[index], error

    def _deliver(self, pieces: Sequence[_Piece]) -> None:
        """Send items, those of one member in one message, and tell ends. On the loop."""
        items: dict[int, tuple[Member, list[bytes]]] = {}
        for member, piece in pieces:
            if member.is_over:
                continue
            if isinstance(piece, bytes):
                items.setdefault(member.assignment.run.key, (member, []))[1].append(piece)
                continue
            _send(member, items.pop(member.assignment.run.key, (member, []))[1])
            if piece is None:
                member.succeed(None)
            else:
                member.fail(piece)
        for member, rest in items.values():
            _send(member, rest)

    def _end_all(self) -> None:
        for member in self.members:
            member.succeed(None)


class StepsFromThread(_Steps):
    """A generator."""

    def __init__(self, worker: Surroundings, members: Sequence[Member], files: ContextThreadPoolExecutor) -> None:
        super().__init__(worker, members, files)
        self._interrupt = ThreadInterrupt()
        for member in members:
            member.shield = self._interrupt
        self._bridge: ThreadBridge[list[_Piece]] = ThreadBridge(
            self._iterate,
            context=self.make_context(),
            executor=worker.executor,
            max_queue_size=_STEPS_AHEAD,
            on_enter=self._interrupt.enter,
            on_leave=self._interrupt.leave,
        )

    async def run(self) -> BaseException | None:
        """Step it in one of the worker's threads."""
        started = time.perf_counter()
        try:
            while True:
                try:
                    steps = await self._bridge.next_batch()
                except StopAsyncIteration:
                    break
                self._deliver([piece for step in steps for piece in step])
                await self.worker.drained()
        except BaseException as error:  # noqa: BLE001 - the border to the author's code
            return error
        finally:
            await self._bridge.aclose()
        self.seconds = time.perf_counter() - started
        self._end_all()
        return None

    def interrupt(self) -> None:
        """Raise a `CancelationError` in the thread, or close the generator at its next item."""
        self._interrupt.interrupt()
        self._bridge.stop()

    def _iterate(self) -> Iterator[list[_Piece]]:
        steps = iter(self.worker.predict(**self.columns))
        try:
            for step in steps:
                pieces = [self._encode(*each) for each in self._read(step)]
                self.may_repeat = False
                yield pieces
                if not self._is_wanted:
                    return
        finally:
            close = getattr(steps, "close", None)
            if close is not None:
                close()

    def _encode(self, index: int, member: Member, entry: Any) -> _Piece:
        if entry is END:
            self._going_on[index] = False
            return member, None
        try:
            return member, encode(member, entry, member.assignment.outputs.write)
        except CancelationError as error:
            if not self._is_wanted:
                raise
            return self._leave_out(index, error)  # its files were being sent when it left: that is its own end
        except Exception as error:  # noqa: BLE001 - what is wrong with one's item is that one's failure
            return self._leave_out(index, error)


class StepsFromTask(_Steps):
    """An async generator."""

    def __init__(self, worker: Surroundings, members: Sequence[Member], files: ContextThreadPoolExecutor) -> None:
        super().__init__(worker, members, files)
        self._task = TaskOfAuthor(self._iterate(), self.make_context())

    async def run(self) -> BaseException | None:
        """Iterate over it in a task of its own."""
        started = time.perf_counter()
        error = await self._task.ended()
        if error is not None:
            return error
        self.seconds = time.perf_counter() - started
        self._end_all()
        return None

    def interrupt(self) -> None:
        """Cancel the task."""
        self._task.cancel()

    async def _iterate(self) -> None:
        steps: AsyncIterator[Any] = self.worker.predict(**self.columns)
        if inspect.isawaitable(steps):
            steps = await steps
        try:
            async for step in steps:
                pieces = [await self._encode(*each) for each in self._read(step)]
                self.may_repeat = False
                self._deliver(pieces)
                if not self._is_wanted:
                    return
                await asyncio.sleep(0)
                await self.worker.drained()
        finally:
            close = getattr(steps, "aclose", None)
            if close is not None:
                await close()

    async def _encode(self, index: int, member: Member, entry: Any) -> _Piece:
        if entry is END:
            self._going_on[index] = False
            return member, None
        outputs = member.assignment.outputs
        try:
            try:
                return member, encode(member, entry, outputs.write_at_once)
            except FileMetError:
                pass
            job = self.files.submit(encode, member, entry, outputs.write_with_files)
            return member, await asyncio.wrap_future(job)
        except (Exception, CancelationError) as error:  # noqa: BLE001 - what is wrong with one's item is that one's failure
            return self._leave_out(index, error)


def _send(member: Member, items: list[bytes]) -> None:
    if items and not member.is_over:
        member.post(Outputs(member.assignment.run.key, items))
