"""Rows, read a bounded number ahead of what is run.

A plain iterable is stepped in a thread, so that one that blocks (a file, a database) holds nothing up; an
async one in a task. What users give is made into rows there as well, since that may read files.
"""

import asyncio
import contextlib
import contextvars
import inspect
import itertools
import threading
from collections import deque
from collections.abc import AsyncIterable, Callable, Generator, Iterable, Iterator
from typing import Any, Final

from servekit.jobs.rows import Row, make_row
from servekit.jsonable import WITHOUT_FILES
from servekit.output_files import FileMetError
from servekit.threads import ThreadBridge

__all__ = ["Intake"]


class Intake:
    """The rows of a job, in their order.

    Args:
        given: Rows, or the inputs of each by name.
        on_news: Called on the loop when there are rows again, or when the end has come.

    Attributes:
        error: What the iterable raised, if it did. The rows before it are still given.
    """

    def __init__(self, given: Iterable[Any] | AsyncIterable[Any], on_news: Callable[[], None]) -> None:
        self.error: Exception | None = None
        self._given = given
        self._on_news = on_news
        self._rows: deque[Row] = deque()
        self._is_at_end = False
        self._loop = asyncio.get_running_loop()
        self._size = _Size(_MOST_BYTES)
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to read."""
        read = self._read_in_task if isinstance(self._given, AsyncIterable) else self._read_in_thread
        self._task = asyncio.get_running_loop().create_task(read(), context=contextvars.copy_context())

    @property
    def is_exhausted(self) -> bool:
        """Whether all rows were taken."""
        return self._is_at_end and not self._rows

    @property
    def has_rows(self) -> bool:
        """Whether there is one to take."""
        return bool(self._rows)

    def peek(self) -> Row:
        """Return the next row; there must be one."""
        return self._rows[0]

    def take(self) -> Row:
        """Remove and return the next row; there must be one."""
        row = self._rows.popleft()
        self._size.shrink(len(row.raw_input))
        if self._wants_more:
            self._wanted.set()
        return row

    def drain(self) -> None:
        """Give no further rows: those that were read ahead are dropped."""
        self._rows.clear()
        self._is_at_end = True
        self._on_news()

    async def close(self) -> None:
        """Read no more, and close the iterable; one that blocks for longer than some seconds is left to itself."""
        if self._task is None:
            return
        self._size.lift()
        self._task.cancel()
        await asyncio.wait([self._task])
        if not self._task.cancelled() and isinstance(error := self._task.exception(), Exception):
            self.error = self.error or error  # what closing it raised

    async def _read_in_thread(self) -> None:
        bridge: ThreadBridge[Row] = ThreadBridge(self._made_rows, max_queue_size=_BATCH)
        try:
            with self._noting_the_end():
                while True:
                    rows = await bridge.next_batch()
                    if self._is_at_end:  # drained meanwhile
                        return
                    self._rows.extend(rows)
                    self._on_news()
                    await self._until_wanted()
        finally:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(bridge.aclose(), _CLOSE_SECONDS)

    def _made_rows(self) -> Iterator[Row]:
        """Step the iterable; this is what runs in the thread."""
        assert not isinstance(self._given, AsyncIterable)
        iterator = iter(self._given)
        try:
            for number, given in enumerate(iterator, 1):
                row = make_row(number, given)
                self._size.grow(len(row.raw_input))
                yield row
                self._size.wait_for_room(self._loop)
        finally:
            if inspect.isgenerator(iterator):
                iterator.close()

    async def _read_in_task(self) -> None:
        assert isinstance(self._given, AsyncIterable)
        iterator = aiter(self._given)
        try:
            with self._noting_the_end():
                for number in itertools.count(1):
                    row = await _make_row(number, await anext(iterator))
                    if self._is_at_end:  # drained meanwhile
                        return
                    self._size.grow(len(row.raw_input))
                    self._rows.append(row)
                    self._on_news()
                    await self._until_wanted()
        finally:
            close = getattr(iterator, "aclose", None)
            if close is not None:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(close(), _CLOSE_SECONDS)

    @contextlib.contextmanager
    def _noting_the_end(self) -> Generator[None]:
        try:
            yield
        except StopAsyncIteration:
            pass
        except Exception as error:  # noqa: BLE001 - the border to the user's iterable; raised to whoever reads results
            self.error = error
        self._is_at_end = True
        self._on_news()

    @property
    def _wants_more(self) -> bool:
        return len(self._rows) < _BATCH and not self._size.is_full

    async def _until_wanted(self) -> None:
        while not self._wants_more:
            self._wanted.clear()
            await self._wanted.wait()


class _Size:
    """The bytes of the rows that were read and not taken: one side adds to them, the loop subtracts."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._grown = 0
        self._shrunk = 0
        self._is_lifted = False
        self._room = threading.Event()

    @property
    def is_full(self) -> bool:
        return self._grown - self._shrunk > self._limit and not self._is_lifted

    def grow(self, size: int) -> None:
        self._grown += size

    def shrink(self, size: int) -> None:
        self._shrunk += size
        self._room.set()

    def wait_for_room(self, loop: asyncio.AbstractEventLoop) -> None:
        while self.is_full and not loop.is_closed():
            self._room.clear()
            if self.is_full:  # still, or whoever made room has found nobody to wake
                self._room.wait(_LOOK_AGAIN_SECONDS)

    def lift(self) -> None:
        """Let who waits go on, whatever the size."""
        self._is_lifted = True
        self._room.set()


async def _make_row(number: int, given: Any) -> Row:
    try:
        return make_row(number, given, WITHOUT_FILES)
    except FileMetError:
        return await asyncio.to_thread(make_row, number, given)


_BATCH: Final = 64
"""Rows that are read ahead; a thread may be as many ahead of that again."""

_MOST_BYTES: Final = 16_000_000
"""What rows that are read ahead may take, but for the last one."""

_CLOSE_SECONDS: Final = 5.0
"""How long an iterable may take to be closed. One that blocks keeps its thread, which the process does not wait for."""

_LOOK_AGAIN_SECONDS: Final = 0.25
"""How often a thread that waits for room looks whether anybody still wants it to."""
