"""What workers print, as lines of the log."""

import asyncio

import pytest

from servekit.server import output as module
from servekit.server.output import MAX_LINE, OutputLog

pytestmark = pytest.mark.usefixtures("_quick_periods")

LIMIT = 1000


@pytest.fixture
def _quick_periods(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PERIOD_SECONDS", 0.01)


class Log:
    """What an output comes to."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []
        self.cut: asyncio.Queue[int] = asyncio.Queue()
        self.output = OutputLog(lambda source, line: self.lines.append((source, line)), self.cut.put_nowait)


async def test_lines_are_whole_whatever_pieces_they_come_in() -> None:
    log = Log()

    for piece in ("on", "e\ntw", "o\n"):
        log.output.add("stdout", piece)

    assert log.lines == [("stdout", "one"), ("stdout", "two")]


async def test_the_two_sources_do_not_mix() -> None:
    log = Log()

    log.output.add("stdout", "a")
    log.output.add("stderr", "b\n")
    log.output.add("stdout", "c\n")

    assert log.lines == [("stderr", "b"), ("stdout", "ac")]


async def test_blank_lines_are_left_out() -> None:
    log = Log()

    log.output.add("stdout", "\n  \na\n\n")

    assert log.lines == [("stdout", "a")]


async def test_a_line_without_an_end_is_logged_at_the_close() -> None:
    log = Log()

    log.output.add("stdout", "a")
    log.output.close()

    assert log.lines == [("stdout", "a")]


@pytest.mark.parametrize("ending", ["", "\n"])
async def test_a_long_line_is_cut(ending: str) -> None:
    log = Log()

    log.output.add("stdout", "x" * 100_000 + ending)

    assert log.lines == [("stdout", "x" * MAX_LINE)]


@pytest.mark.parametrize("pieces", [1, 7, 3000])
async def test_lines_beyond_the_limit_are_left_out_and_counted(pieces: int) -> None:
    log = Log()
    text = "line\n" * 3000

    for number in range(pieces):
        log.output.add("stdout", text[number * len(text) // pieces : (number + 1) * len(text) // pieces])

    assert await asyncio.wait_for(log.cut.get(), 30) == 3000 - LIMIT
    assert log.lines == [("stdout", "line")] * LIMIT


async def test_after_the_period_lines_are_logged_again() -> None:
    log = Log()
    log.output.add("stdout", "line\n" * 3000 + "and this ")
    await asyncio.wait_for(log.cut.get(), 30)

    log.output.add("stdout", "one\n")

    assert log.lines[-1] == ("stdout", "and this one")


async def test_what_was_left_out_is_told_at_the_close() -> None:
    log = Log()
    log.output.add("stdout", "line\n" * (LIMIT + 5))

    log.output.close()

    assert log.cut.get_nowait() == 5
