"""What ends `parallel` from outside: Ctrl-C, the cancelation of a prediction, a cancelled task."""

import asyncio
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from servekit.errors import CancelationError
from servekit.runtime.interrupt import ThreadInterrupt
from servekit.threads import RetryPolicy, aparallel, parallel

ROUNDS = 60


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What hangs until the test is over."""
    opened = threading.Event()
    yield opened
    opened.set()


class Interruptible:
    """Runs a function in a thread as the runtime runs a sync `predict`."""

    def __init__(self, call: Callable[[], object]) -> None:
        self._call = call
        self._interrupt = ThreadInterrupt()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.error: BaseException | None = None
        self.result: object = None
        self._thread.start()

    def interrupt(self) -> None:
        self._interrupt.interrupt()

    def has_ended(self) -> bool:
        self._thread.join(10)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._interrupt.enter()
            try:
                self.result = self._call()
            finally:
                self._interrupt.leave()
        except BaseException as error:  # noqa: BLE001 - looked at by the test
            self.error = error


async def quick(number: int) -> int:
    await asyncio.sleep(0)
    return number


# ---------------------------------------------------------------------- in a prediction


def test_an_interrupted_call_ends_though_its_threads_hang_and_says_what_was_done(gate: threading.Event) -> None:
    begun = threading.Semaphore(0)

    def work(number: int) -> None:
        if number > 1:
            begun.release()
            gate.wait(30)

    call = Interruptible(lambda: parallel(work, range(10), max_concurrency=2))
    begun.acquire(timeout=30)
    begun.acquire(timeout=30)
    call.interrupt()

    assert call.has_ended()
    assert isinstance(call.error, CancelationError)
    assert " ".join(call.error.__notes__) == (
        "parallel() was stopped: 2 items done, 0 failed, 2 stopped before their end, 6 not started; "
        "2 calls not returned yet, which cannot be interrupted"
    )


def test_an_interrupted_call_cancels_its_tasks() -> None:
    begun, ended = threading.Event(), threading.Event()

    async def work(_: int) -> None:
        try:
            begun.set()
            await asyncio.sleep(30)
        finally:
            ended.set()

    call = Interruptible(lambda: parallel(work, range(10), max_concurrency=1))
    begun.wait(30)
    call.interrupt()

    assert call.has_ended()
    assert isinstance(call.error, CancelationError)
    assert ended.is_set()


def test_an_interrupted_call_does_not_wait_for_the_next_try() -> None:
    failed = threading.Event()

    def work(_: int) -> None:
        failed.set()
        raise LookupError

    policy = RetryPolicy(retries=9, first_pause_seconds=1000, longest_pause_seconds=1000)
    call = Interruptible(lambda: parallel(work, [1], retries=policy))
    failed.wait(30)
    call.interrupt()

    assert call.has_ended()
    assert isinstance(call.error, CancelationError)


def nested(number: int) -> int:
    return sum(parallel(int, range(number), max_concurrency=2))


# It may strike in the callback of a weak reference as well, where Python swallows it and says so.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("fn", [int, quick, nested])
@pytest.mark.parametrize("is_shared", [False, True])
def test_an_interruption_at_any_seam_ends_the_call(fn: Callable[[int], Any], is_shared: bool) -> None:
    chance = random.Random(1)
    with ThreadPoolExecutor(3) as executor:
        options: dict[str, Any] = {"executor": executor} if is_shared else {}
        for _ in range(ROUNDS):
            begun = threading.Event()

            def items(begun: threading.Event = begun) -> Iterator[int]:
                begun.set()
                yield from range(400)

            def run(items: Callable[[], Iterator[int]] = items) -> Any:
                return parallel(fn, items(), max_concurrency=3, timeout=20, **options)

            call = Interruptible(run)
            if chance.random() < 0.8:
                begun.wait(30)
            threading.Event().wait(chance.random() * 0.004)
            call.interrupt()
            assert call.has_ended()
            assert call.error is None or isinstance(call.error, CancelationError)


# ---------------------------------------------------------------------- a cancelled task


def test_a_cancelled_task_does_not_wait_for_threads_that_hang(gate: threading.Event) -> None:
    async def main() -> None:
        begun = asyncio.Event()
        loop = asyncio.get_running_loop()

        def work(_: int) -> None:
            loop.call_soon_threadsafe(begun.set)
            gate.wait(30)

        async def consume() -> None:
            async for _ in aparallel(work, range(5), max_concurrency=1):
                pass

        task = asyncio.create_task(consume())
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        assert "1 stopped before their end, 4 not started; 1 call not returned yet" in caught.value.__notes__[0]

    asyncio.run(asyncio.wait_for(main(), 10))


# ---------------------------------------------------------------------- Ctrl-C

_HEAD = """
import asyncio, sys, threading, time
from servekit import ContextThreadPoolExecutor, parallel
from servekit.threads import aparallel

def hang(number):
    if number:
        print("hangs", flush=True)
        threading.Event().wait()

async def wait(number):
    if number:
        print("hangs", flush=True)
        await asyncio.sleep(1000)

async def tick():  # CPython does not see a signal that comes just before its loop begins to wait, until that wakes
    while True:
        await asyncio.sleep(0.05)

async def main():
    ticking = asyncio.create_task(tick())
    async for _ in aparallel(hang, range(10), max_concurrency=1):
        pass
"""


@pytest.mark.parametrize(
    "call",
    [
        "parallel(hang, range(10), max_concurrency=1)",
        "parallel(wait, range(10), max_concurrency=1)",
        "parallel(lambda n: parallel(hang, [n], max_concurrency=1), range(10), max_concurrency=1)",
        "asyncio.run(main())",
    ],
    ids=["threads", "tasks", "nested", "aparallel"],
)
def test_ctrl_c_ends_the_process_and_says_what_was_done(call: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _HEAD + call], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "hangs\n"
        process.send_signal(signal.SIGINT)
        try:
            _, stderr = process.communicate(timeout=20)
        finally:
            process.kill()

    assert "KeyboardInterrupt" in stderr
    assert "was stopped: 1 items done, 0 failed, 1 stopped before their end, 8 not started" in stderr
    assert process.returncode == -signal.SIGINT
