"""One call of `predict` for several predictions, as a plain or an async function."""

import asyncio
import contextvars
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from servekit.batch_entries import read_entries
from servekit.configuration.overlays import push_layer
from servekit.errors import OutputError
from servekit.output_files import FileMetError
from servekit.runtime.assignment import Surroundings
from servekit.runtime.batching.member import Member
from servekit.runtime.interrupt import ThreadInterrupt
from servekit.scope import enter_scopes
from servekit.threads import ContextThreadPoolExecutor

__all__ = ["BatchCall", "TaskOfAuthor", "ValuesFromTask", "ValuesFromThread", "encode"]


class BatchCall(ABC):
    """One call; made and used on the worker's loop.

    Args:
        worker: Whose `predict` is called.
        members: For whom. Some may be over before it ends; their places in the lists stay.
        files: Where files of outputs are read or sent.

    Attributes:
        seconds: How long `predict` took, once it has succeeded.
        may_repeat: Whether a call that failed may be made again for fewer of them: it does not when something was given
            to somebody already, or when what it gave could not be told apart.
    """

    def __init__(self, worker: Surroundings, members: Sequence[Member], files: ContextThreadPoolExecutor) -> None:
        self.seconds = 0.0
        self.may_repeat = True
        self.worker = worker
        self.members = members
        self.files = files

    @abstractmethod
    async def run(self) -> BaseException | None:
        """Call `predict`, see to it that what it gives comes to the members, and return what went wrong."""

    @abstractmethod
    def interrupt(self) -> None:
        """Ask the code to stop."""

    @property
    def columns(self) -> dict[str, list[Any]]:
        """The arguments for `predict`."""
        return {name: [member.inputs[name] for member in self.members] for name in self.worker.signature.input_names}

    def read_entries(self, result: Any, verb: str) -> list[Any]:
        """Return what there is for each member; see `read_entries`.

        Raises:
            OutputError: There is not one entry for each.
        """
        try:
            return read_entries(result, len(self.members), verb)
        except OutputError:
            self.may_repeat = False
            raise

    def make_context(self) -> contextvars.Context:
        """Return a Context in which no prediction is current, with the settings that all of them override alike."""
        context = contextvars.Context()
        context.run(push_layer, self.members[0].overrides)
        context.run(enter_scopes, tuple(member.assignment.scope for member in self.members))
        return context


class ValuesFromThread(BatchCall):
    """A plain function."""

    def __init__(self, worker: Surroundings, members: Sequence[Member], files: ContextThreadPoolExecutor) -> None:
        super().__init__(worker, members, files)
        self._interrupt = ThreadInterrupt()
        for member in members:
            member.shield = self._interrupt

    async def run(self) -> BaseException | None:
        """Call it in one of the worker's threads."""
        job = self.worker.executor.submit(self.make_context().run, self._in_thread)
        entries, error = await asyncio.wrap_future(job)
        if error is None:
            # Elsewhere, so that the thread is free for the next batch.
            self.files.submit(_write_all, self.members, entries)
        return error

    def interrupt(self) -> None:
        """Raise a `CancelationError` in the thread."""
        self._interrupt.interrupt()

    def _in_thread(self) -> tuple[list[Any], BaseException | None]:
        """Return an exception as a value: asyncio would let `SystemExit` end the loop."""
        try:
            self._interrupt.enter()
            try:
                started = time.perf_counter()
                result = self.worker.predict(**self.columns)
                self.seconds = time.perf_counter() - started
                entries = self.read_entries(result, "returned")
            finally:
                self._interrupt.leave()
        except BaseException as error:  # noqa: BLE001 - the border to the author's code
            return [], error
        return entries, None


class ValuesFromTask(BatchCall):
    """An async function."""

    def __init__(self, worker: Surroundings, members: Sequence[Member], files: ContextThreadPoolExecutor) -> None:
        super().__init__(worker, members, files)
        self._entries: list[Any] = []
        self._task = TaskOfAuthor(self._await(), self.make_context())

    async def run(self) -> BaseException | None:
        """Await it in a task of its own."""
        error = await self._task.ended()
        if error is None:
            for member, entry in zip(self.members, self._entries, strict=True):
                self._write(member, entry)
        return error

    def interrupt(self) -> None:
        """Cancel the task."""
        self._task.cancel()

    async def _await(self) -> None:
        started = time.perf_counter()
        result = await self.worker.predict(**self.columns)
        self.seconds = time.perf_counter() - started
        self._entries = self.read_entries(result, "returned")

    def _write(self, member: Member, entry: Any) -> None:
        if member.is_over:
            return
        try:
            member.succeed(encode(member, entry, member.assignment.outputs.write_at_once))
        except FileMetError:
            self.files.submit(_write_all, [member], [entry])
        except BaseException as error:  # noqa: BLE001 - what is wrong with one's output is that one's failure
            member.fail(error)


class TaskOfAuthor:
    """Runs an author's coroutine, and returns what it raised as a value.

    Args:
        body: What to run.
        context: In which Context.
    """

    def __init__(self, body: Coroutine[Any, Any, None], context: contextvars.Context) -> None:
        self._body = body
        self._task = asyncio.get_running_loop().create_task(self._run(body), context=context)

    async def ended(self) -> BaseException | None:
        """Wait for its end."""
        await asyncio.wait({self._task})
        self._body.close()  # it has not begun if the task was canceled before it had
        return asyncio.CancelledError() if self._task.cancelled() else self._task.result()

    def cancel(self) -> None:
        """Ask it to stop."""
        self._task.cancel()

    async def _run(self, body: Coroutine[Any, Any, None]) -> BaseException | None:
        try:
            await body
        except BaseException as error:  # noqa: BLE001 - the border to the author's code; it becomes the members' error
            return error
        return None


def _write_all(members: Sequence[Member], entries: Sequence[Any]) -> None:
    """Write what the members get and tell their ends, in a thread."""
    for member, entry in zip(members, entries, strict=True):
        if member.is_over:
            continue
        try:
            output = encode(member, entry, member.assignment.outputs.write)
        except BaseException as error:  # noqa: BLE001 - what is wrong with one's output is that one's failure
            member.fail(error)
        else:
            member.succeed(output)


def encode(member: Member, entry: Any, write: Callable[[Any], bytes]) -> bytes:
    """Return an entry as JSON.

    Raises:
        Exception: The entry itself, if it is one: an author's way to fail one prediction of many.
        OutputError: It does not fit.
        FileMetError: There is a file in it, and `write` cannot wait.
    """
    if isinstance(entry, Exception):
        raise entry
    return member.in_scope(write, entry)
