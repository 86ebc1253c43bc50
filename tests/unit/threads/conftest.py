"""What the tests of threads share: both event loops, and the proof that no thread is left behind."""

import asyncio
import gc
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Protocol, TypeVar

import pytest
import uvloop

_T = TypeVar("_T")

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}


class Run(Protocol):
    """Runs a coroutine on a fresh event loop, with a deadline."""

    def __call__(self, main: Coroutine[Any, Any, _T], /) -> _T: ...


@pytest.fixture(params=list(LOOPS))
def loop_factory(request: pytest.FixtureRequest) -> Callable[[], asyncio.AbstractEventLoop]:
    return LOOPS[request.param]


@pytest.fixture
def run(loop_factory: Callable[[], asyncio.AbstractEventLoop]) -> Run:
    def run_on_loop(main: Coroutine[Any, Any, _T]) -> _T:
        async def with_deadline() -> _T:
            async with asyncio.timeout(60):
                return await main

        with asyncio.Runner(loop_factory=loop_factory) as runner:
            return runner.run(with_deadline())

    return run_on_loop


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    """Fail a test after which a thread of servekit does not end."""
    yield
    left = [thread for thread in threading.enumerate() if thread.name.startswith("servekit-")]
    if left:
        gc.collect()  # an error that a test caught holds the frames it came through, and what they refer to
    for thread in left:
        thread.join(10)
        assert not thread.is_alive(), f"{thread.name} was left behind"


@pytest.fixture(params=[1, 8, 64])
def count(request: pytest.FixtureRequest) -> int:
    """How many threads take part."""
    number: int = request.param
    return number
