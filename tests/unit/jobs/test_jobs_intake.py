"""Rows are read ahead by a bounded number, wherever they come from."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from servekit.jobs.intake import Intake
from servekit.jobs.rows import Row


class Reader:
    """Takes rows from an intake as a job does."""

    def __init__(self, given: Any) -> None:
        self._news = asyncio.Event()
        self.intake = Intake(given, self._news.set)
        self.intake.start()

    async def take(self, count: int) -> list[Row]:
        taken: list[Row] = []
        async with asyncio.timeout(10):
            while len(taken) < count and not self.intake.is_exhausted:
                if self.intake.has_rows:
                    taken.append(self.intake.take())
                else:
                    self._news.clear()
                    await self._news.wait()
        return taken


def numbered() -> Iterator[dict[str, int]]:
    number = 0
    while True:
        number += 1
        yield {"n": number}


async def numbered_async() -> AsyncIterator[dict[str, int]]:
    for each in numbered():
        yield each


class Slow:
    """Endless rows of a size; notes how far it was read, and whether it was closed."""

    def __init__(self, size: int = 1) -> None:
        self.read = 0
        self.closed_in: int | None = None
        self._size = size

    def rows(self) -> Iterator[Row]:
        try:
            while True:
                self.read += 1
                yield Row(self.read, b"x" * self._size)
        finally:
            self.closed_in = threading.get_ident()

    async def rows_async(self) -> AsyncIterator[Row]:
        for row in self.rows():
            yield row


@pytest.mark.parametrize("make", [numbered, numbered_async])
async def test_rows_come_in_order_and_are_numbered(make: Any) -> None:
    reader = Reader(make())

    rows = await reader.take(300)
    await reader.intake.close()

    assert [(row.number, row.input["n"]) for row in rows] == [(n, n) for n in range(1, 301)]


@pytest.mark.parametrize("given", [[{"a": 1}], iter([{"a": 1}]), ({"a": 1},)])
async def test_the_end_is_seen_when_all_rows_were_taken(given: Any) -> None:
    reader = Reader(given)

    assert len(await reader.take(10)) == 1
    assert reader.intake.is_exhausted
    await reader.intake.close()


@pytest.mark.parametrize("kind", ["rows", "rows_async"])
async def test_no_more_than_a_bounded_number_is_read_ahead(kind: str) -> None:
    slow = Slow()
    reader = Reader(getattr(slow, kind)())
    await reader.take(1)
    for _ in range(20):
        await asyncio.sleep(0.001)

    assert slow.read <= 1 + 3 * 64
    await reader.intake.close()


@pytest.mark.parametrize("kind", ["rows", "rows_async"])
async def test_large_rows_are_read_ahead_by_their_size(kind: str) -> None:
    slow = Slow(size=6_000_000)
    reader = Reader(getattr(slow, kind)())
    await reader.take(5)
    for _ in range(20):
        await asyncio.sleep(0.001)

    assert slow.read <= 5 + 4
    await reader.intake.close()


async def test_a_generator_is_closed_by_the_thread_that_ran_it() -> None:
    slow = Slow()
    reader = Reader(slow.rows())
    await reader.take(1)
    await reader.intake.close()

    assert slow.closed_in not in (None, threading.get_ident())


async def test_what_reading_raises_comes_after_the_rows_before() -> None:
    def rows() -> Iterator[dict[str, int]]:
        yield {"a": 1}
        raise OSError("the disk is gone")

    reader = Reader(rows())

    assert len(await reader.take(5)) == 1
    assert str(reader.intake.error) == "the disk is gone"
    await reader.intake.close()


async def test_an_intake_that_waits_for_its_rows_can_be_closed() -> None:
    release = threading.Event()

    def rows() -> Iterator[dict[str, int]]:
        yield {"a": 1}
        release.wait(10)

    reader = Reader(rows())
    await reader.take(1)
    closing = asyncio.create_task(reader.intake.close())
    await asyncio.sleep(0)
    release.set()

    await asyncio.wait_for(closing, 10)
