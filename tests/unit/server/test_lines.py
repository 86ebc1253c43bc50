"""Lines of log on their way to a pipe."""

import asyncio
import fcntl
import os
import threading
from collections.abc import Iterator

import pytest

from servekit.server.lines import LineWriter

KEPT_BYTES = 1 << 20


class Pipe:
    """A pipe whose reader reads when it is told to."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)

    def read(self) -> bytes:
        try:
            return os.read(self.reader, 1 << 22)
        except BlockingIOError:
            return b""

    def close(self) -> None:
        os.close(self.reader)
        os.close(self.writer)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.close()


def test_without_a_loop_a_line_goes_out_at_once(pipe: Pipe) -> None:
    LineWriter(pipe.writer).msg(b"one")

    assert pipe.read() == b"one\n"


async def test_the_lines_of_one_turn_go_out_together(pipe: Pipe) -> None:
    writer = LineWriter(pipe.writer)

    writer.msg(b"one")
    writer.msg(b"two")
    before = pipe.read()
    await asyncio.sleep(0)

    assert (before, pipe.read()) == (b"", b"one\ntwo\n")


def test_a_pipe_that_nobody_reads_does_not_block_the_writer(pipe: Pipe) -> None:
    writer = LineWriter(pipe.writer)

    def write() -> None:
        for _ in range(500):
            writer.msg(b"x" * 999)

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    thread.join(20)

    assert not thread.is_alive()


def test_the_descriptor_stays_as_those_who_share_it_expect(pipe: Pipe) -> None:
    LineWriter(pipe.writer).msg(b"x" * 200_000)

    assert os.get_blocking(pipe.writer)
    assert not fcntl.fcntl(pipe.writer, fcntl.F_GETFL) & os.O_APPEND


async def test_a_reader_that_comes_late_gets_all_lines(pipe: Pipe) -> None:
    writer = LineWriter(pipe.writer)
    lines = [b"%d " % number + b"x" * 1000 for number in range(500)]

    for line in lines:
        writer.msg(line)
    got = bytearray()
    async with asyncio.timeout(30):
        while len(got) < sum(len(line) + 1 for line in lines):
            got += pipe.read()
            await asyncio.sleep(0)

    assert bytes(got).splitlines() == lines


async def test_what_is_too_much_is_dropped_and_counted(pipe: Pipe) -> None:
    writer = LineWriter(pipe.writer)
    told: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    writer.on_dropped = told.set_result

    for _ in range(3 * KEPT_BYTES // 1000):
        writer.msg(b"x" * 999)
    got = bytearray()
    async with asyncio.timeout(30):
        while not told.done():
            got += pipe.read()
            await asyncio.sleep(0)
    got += pipe.read()

    assert got.count(b"\n") + told.result() == 3 * KEPT_BYTES // 1000
    assert KEPT_BYTES - 1000 <= len(got) <= KEPT_BYTES


async def test_the_line_about_dropped_ones_is_written_itself(pipe: Pipe) -> None:
    writer = LineWriter(pipe.writer)
    writer.on_dropped = lambda count: writer.msg(b"dropped %d" % count)

    for _ in range(2 * KEPT_BYTES // 1000):
        writer.msg(b"x" * 999)
    got = bytearray()
    async with asyncio.timeout(30):
        while b"dropped" not in got:
            got += pipe.read()
            await asyncio.sleep(0)
    writer.msg(b"next")
    await asyncio.sleep(0)

    assert (got + pipe.read()).endswith(b"\nnext\n")


def test_the_last_lines_wait_for_a_slow_reader(pipe: Pipe) -> None:
    writer = LineWriter(pipe.writer)
    writer.msg(b"x" * 200_000)
    os.set_blocking(pipe.reader, True)
    reader = threading.Thread(target=lambda: [os.read(pipe.reader, 4096) for _ in range(40)])

    reader.start()
    is_written = writer.flush(20)
    reader.join()

    assert is_written


def test_a_reader_that_is_gone_costs_the_lines_only() -> None:
    reader, descriptor = os.pipe()
    os.close(reader)
    writer = LineWriter(descriptor)

    writer.msg(b"one")

    assert writer.flush()
    os.close(descriptor)
