"""A gate that is shut while memory is above its limit."""

from collections.abc import Iterator

import pytest
from clock_loop import ClockLoop

from servekit.jobs.memory import MemoryGate, measure_family


@pytest.fixture
def loop() -> Iterator[ClockLoop]:
    loop = ClockLoop()
    yield loop
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()


def test_it_is_shut_above_the_limit_and_opens_a_little_below(loop: ClockLoop) -> None:
    sizes = [50, 101, 99, 96, 94, 100]
    seen: list[tuple[int, bool]] = []
    openings: list[int] = []

    def measure() -> int:
        seen.append((gate.used_bytes, gate.is_shut))
        return sizes[min(len(seen), len(sizes)) - 1]

    gate = MemoryGate(100, lambda: openings.append(gate.used_bytes), measure)
    loop.finish(gate.start(), 1)
    while len(seen) <= len(sizes):
        loop.advance(0.5)
    loop.finish(gate.close(), 1)

    assert seen[1:7] == [(50, False), (101, True), (99, True), (96, True), (94, False), (100, False)]
    assert openings == [94]


def test_it_leaves_nothing_behind_when_it_is_closed(loop: ClockLoop) -> None:
    gate = MemoryGate(100, lambda: None, lambda: 1)
    loop.finish(gate.start(), 1)
    loop.finish(gate.close(), 1)

    assert loop.count_timers() == 0


def test_this_process_takes_some_memory() -> None:
    assert measure_family() > 1_000_000
