import asyncio
import contextlib
import itertools
import random
import sys
import threading
from asyncio import base_events, selector_events
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextvars import Context, ContextVar
from types import FrameType
from typing import Any, Protocol

import pytest

from servekit.errors import CancelationError
from servekit.runtime.interrupt import ThreadInterrupt
from servekit.threads import ThreadBridge
from servekit.threads import producer as producer_module

tenant: ContextVar[str] = ContextVar("tenant", default="nobody")


class Run(Protocol):
    def __call__(self, main: Any, /) -> Any: ...


async def drain(bridge: ThreadBridge[int]) -> tuple[list[int], BaseException | None]:
    """Take everything, and what ended it."""
    got: list[int] = []
    while True:
        try:
            got += await bridge.next_batch()
        except StopAsyncIteration:
            return got, None
        except BaseException as error:  # noqa: BLE001 - whatever it is
            return got, error


# ---------------------------------------------------------------------- batches


def test_a_batch_is_everything_produced_so_far(run: Run) -> None:
    taken = threading.Event()
    produced = threading.Event()

    def source() -> Iterator[int]:
        yield 0
        taken.wait(30)
        yield from range(1, 1000)
        produced.set()

    async def main() -> tuple[list[int], list[int]]:
        bridge = ThreadBridge(source)
        first = await bridge.next_batch()
        taken.set()
        produced.wait(30)
        return first, await bridge.next_batch()

    first, rest = run(main())
    assert first == [0]
    assert rest == list(range(1, 1000))


def test_a_batch_is_bounded_by_the_queue_size(run: Run) -> None:
    async def main() -> list[int]:
        bridge = ThreadBridge(lambda: range(1000), max_queue_size=7)
        sizes: list[int] = []
        while True:
            try:
                sizes.append(len(await bridge.next_batch()))
            except StopAsyncIteration:
                return sizes

    sizes = run(main())
    assert sum(sizes) == 1000
    assert max(sizes) == 7


def test_what_is_put_between_items_arrives_between_them(run: Run) -> None:
    def source() -> Iterator[int]:
        for number in range(0, 2000, 2):
            yield number
            bridge.put(number + 1)

    async def main() -> tuple[list[int], BaseException | None]:
        return await drain(bridge)

    bridge = ThreadBridge(source, max_queue_size=10)

    assert run(main()) == (list(range(2000)), None)


def test_what_is_put_while_the_consumer_waits_wakes_it(run: Run) -> None:
    taken = threading.Event()

    def source() -> Iterator[int]:
        bridge.put(1)
        taken.wait(30)
        yield 2

    async def main() -> list[list[int]]:
        first = await bridge.next_batch()
        taken.set()
        return [first, await bridge.next_batch()]

    bridge = ThreadBridge(source)

    assert run(main()) == [[1], [2]]


def test_one_wake_up_carries_everything_that_was_put_since_the_last_one(run: Run) -> None:
    wake_ups: list[object] = []
    done = threading.Event()

    def source() -> Iterator[int]:
        for number in range(999):
            bridge.put(number)
        done.set()
        yield 999

    async def main() -> tuple[list[int], BaseException | None]:
        loop = asyncio.get_running_loop()
        call = loop.call_soon_threadsafe

        def count(*arguments: Any, **options: Any) -> asyncio.Handle:
            wake_ups.append(None)
            return call(*arguments, **options)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(loop, "call_soon_threadsafe", count)
            first = await bridge.next_batch()
            done.wait(30)  # the loop is busy while the rest is put
            rest, error = await drain(bridge)
        return first + rest, error

    bridge = ThreadBridge(source)

    assert run(main()) == (list(range(1000)), None)
    # One for each time that the consumer had come to wait, and one for the end.
    assert len(wake_ups) < 10


def test_the_end_is_told_again_and_again(run: Run) -> None:
    async def main() -> None:
        bridge = ThreadBridge(lambda: [1])
        assert await bridge.next_batch() == [1]
        for _ in range(3):
            with pytest.raises(StopAsyncIteration):
                await bridge.next_batch()

    run(main())


def test_an_error_is_told_once_and_the_end_after_it(run: Run) -> None:
    def source() -> Iterator[int]:
        yield 1
        raise LookupError("on purpose")

    async def main() -> None:
        bridge = ThreadBridge(source)
        assert await bridge.next_batch() == [1]
        with pytest.raises(LookupError, match="on purpose"):
            await bridge.next_batch()
        with pytest.raises(StopAsyncIteration):
            await bridge.next_batch()

    run(main())


def test_a_cancelled_wait_loses_nothing(run: Run) -> None:
    may_go_on = threading.Event()

    def source() -> Iterator[int]:
        may_go_on.wait(30)
        yield from range(10)

    async def main() -> None:
        bridge = ThreadBridge(source)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(bridge.next_batch(), 0.01)
        may_go_on.set()
        assert await drain(bridge) == (list(range(10)), None)

    run(main())


def test_a_producer_that_always_has_items_does_not_keep_the_loop(run: Run) -> None:
    def source() -> Iterator[int]:
        number = 0
        while True:
            yield number
            number += 1

    async def main() -> None:
        bridge = ThreadBridge(source)
        turns = 0

        async def take_turns() -> None:
            nonlocal turns
            while turns < 50:
                turns += 1
                await asyncio.sleep(0)

        other = asyncio.create_task(take_turns())
        while not other.done():
            await bridge.next_batch()
        await bridge.aclose()

    run(main())


# ---------------------------------------------------------------------- stop and close


def test_what_was_produced_before_a_stop_still_arrives(run: Run) -> None:
    produced = threading.Event()
    may_go_on = threading.Event()

    def source() -> Iterator[int]:
        yield from range(100)
        produced.set()
        may_go_on.wait(30)
        yield 100
        yield 101

    async def main() -> tuple[list[int], BaseException | None]:
        bridge = ThreadBridge(source)
        first = await bridge.next_batch()
        produced.wait(30)
        bridge.stop()
        may_go_on.set()
        rest, end = await drain(bridge)
        return first + rest, end

    got, end = run(main())
    assert got == list(range(101))
    assert isinstance(end, CancelationError)


def test_a_stop_from_another_thread_frees_a_producer_that_waits_for_room(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(producer_module, "_LOOK_FOR_LOOP_EVERY", 3600)
    closed = threading.Event()

    def source() -> Iterator[int]:
        try:
            yield from range(100)
        finally:
            closed.set()

    async def main() -> tuple[list[int], BaseException | None]:
        bridge = ThreadBridge(source, max_queue_size=2)
        first = await bridge.next_batch()
        threading.Thread(target=bridge.stop).start()
        await asyncio.to_thread(closed.wait, 30)
        rest, end = await drain(bridge)
        return first + rest, end

    got, end = run(main())
    assert got == list(range(len(got)))
    assert isinstance(end, CancelationError)


def test_a_bridge_that_was_stopped_before_it_began_never_calls_its_source(run: Run) -> None:
    called = threading.Event()

    def source() -> Iterator[int]:
        called.set()
        yield 1

    async def main() -> None:
        bridge = ThreadBridge(source)
        bridge.stop()
        with pytest.raises(CancelationError):
            await bridge.next_batch()

    run(main())
    assert not called.is_set()


def test_a_bridge_that_never_began_can_be_closed(run: Run) -> None:
    async def main() -> None:
        await ThreadBridge(lambda: [1]).aclose()

    run(main())


def test_closing_does_not_wait_for_a_free_thread(run: Run) -> None:
    may_go_on = threading.Event()

    async def main() -> None:
        bridge = ThreadBridge(lambda: [1], executor=executor)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(bridge.next_batch(), 0.01)
        await bridge.aclose()

    with ThreadPoolExecutor(1) as executor:
        executor.submit(may_go_on.wait, 60)
        try:
            run(main())
        finally:
            may_go_on.set()


def test_closing_while_another_task_waits_for_items_ends_that_wait(run: Run) -> None:
    may_go_on = threading.Event()

    def source() -> Iterator[int]:
        may_go_on.wait(30)
        yield 1
        yield 2

    async def main() -> None:
        bridge = ThreadBridge(source)
        waiting = asyncio.create_task(drain(bridge))
        await asyncio.sleep(0.01)
        closing = asyncio.create_task(bridge.aclose())
        await asyncio.sleep(0.01)
        may_go_on.set()
        await closing
        await waiting

    run(main())


def test_an_error_from_before_the_close_is_dropped_with_the_items(run: Run) -> None:
    failed = threading.Event()

    def source() -> Iterator[int]:
        yield 1
        failed.set()
        raise LookupError

    async def main() -> None:
        bridge = ThreadBridge(source)
        await bridge.next_batch()
        failed.wait(30)
        await bridge.aclose()

    run(main())


def test_an_error_while_closing_is_noted_on_the_error_before_it(run: Run) -> None:
    class Faulty:
        def __iter__(self) -> "Faulty":
            return self

        def __next__(self) -> int:
            raise LookupError("first")

        def close(self) -> None:
            raise ValueError("second")

    async def main() -> BaseException | None:
        return (await drain(ThreadBridge(Faulty)))[1]

    error = run(main())
    assert isinstance(error, LookupError)
    assert error.__notes__ == ["Closing failed as well: ValueError: second"]


# ---------------------------------------------------------------------- Context, executor, hooks


def test_the_given_context_is_used_itself(run: Run) -> None:
    context = Context()
    context.run(tenant.set, "given")

    def source() -> Iterator[str]:
        yield tenant.get()
        tenant.set("changed")

    async def main() -> list[str]:
        return [item async for item in ThreadBridge(source, context=context)]

    assert run(main()) == ["given"]
    assert context[tenant] == "changed"


def test_a_context_in_use_elsewhere_is_an_error_not_a_hang(run: Run) -> None:
    context = Context()
    inside = threading.Event()
    leave = threading.Event()

    def occupy() -> None:
        inside.set()
        leave.wait(30)

    async def main() -> BaseException | None:
        return (await drain(ThreadBridge(lambda: [1], context=context)))[1]

    thread = threading.Thread(target=context.run, args=(occupy,))
    thread.start()
    inside.wait(30)
    try:
        error = run(main())
    finally:
        leave.set()
        thread.join()
    assert isinstance(error, RuntimeError)
    assert "already entered" in str(error)


def test_the_hooks_enclose_everything_in_the_thread(run: Run) -> None:
    happened: list[tuple[str, int]] = []

    def happen(what: str) -> None:
        happened.append((what, threading.get_ident()))

    def source() -> Iterator[int]:
        happen("body")
        try:
            yield 1
            yield 2
        finally:
            happen("close")

    async def main() -> None:
        bridge = ThreadBridge(
            source, max_queue_size=1, on_enter=lambda: happen("enter"), on_leave=lambda: happen("leave")
        )
        await bridge.next_batch()
        await bridge.aclose()

    run(main())
    assert [what for what, _ in happened] == ["enter", "body", "close", "leave"]
    assert len({thread for _, thread in happened}) == 1


def test_what_on_enter_raises_ends_the_bridge(run: Run) -> None:
    left = threading.Event()

    def refuse() -> None:
        raise CancelationError

    async def main() -> BaseException | None:
        return (await drain(ThreadBridge(lambda: [1], on_enter=refuse, on_leave=left.set)))[1]

    assert isinstance(run(main()), CancelationError)
    assert left.is_set()


def test_what_on_leave_raises_reaches_the_consumer(run: Run) -> None:
    def fail() -> None:
        raise LookupError("on_leave")

    async def main() -> tuple[list[int], BaseException | None]:
        return await drain(ThreadBridge(lambda: [1], on_leave=fail))

    got, error = run(main())
    assert got == [1]
    assert isinstance(error, LookupError)


def test_on_leave_is_called_again_when_a_cancelation_strikes_it(run: Run) -> None:
    calls = 0

    def leave() -> None:
        nonlocal calls
        calls += 1
        if calls < 3:
            raise CancelationError

    async def main() -> tuple[list[int], BaseException | None]:
        return await drain(ThreadBridge(lambda: [1], on_leave=leave))

    assert run(main()) == ([1], None)
    assert calls == 3


# ---------------------------------------------------------------------- struck at any bytecode


class Striker:
    """Raises an exception in its thread, at one bytecode of the bridge or of what that calls in asyncio."""

    FILES = (producer_module.__file__, base_events.__file__, selector_events.__file__)

    def __init__(self, at: int, error: type[BaseException]) -> None:
        self.at = at
        self.error = error
        self.opcodes = 0
        self.left = 0

    def on_enter(self) -> None:
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            if frame.f_code.co_filename in self.FILES:
                frame.f_trace = self._trace
                frame.f_trace_opcodes = True
                frame.f_trace_lines = False
            frame = frame.f_back
        sys.settrace(self._trace)

    def on_leave(self) -> None:
        self.left += 1

    def _trace(self, frame: FrameType, event: str, _: object) -> Callable[..., Any] | None:
        if frame.f_code.co_filename not in self.FILES:
            return None
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        if event == "opcode":
            self.opcodes += 1
            if self.opcodes == self.at:
                sys.settrace(None)
                raise self.error("struck")
        return self._trace


class BareThreads(Executor):
    """Starts a thread per job and never tells how it ended: the bridge has to do so itself."""

    def __init__(self) -> None:
        self.threads: list[threading.Thread] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        def run() -> None:
            # What strikes the very last bytecodes, after the end was told, comes out here.
            with contextlib.suppress(BaseException):
                fn(*args, **kwargs)

        self.threads.append(threading.Thread(target=run, name="servekit-bare"))
        self.threads[-1].start()
        return Future()


async def be_struck(at: int, error: type[BaseException], ending: str) -> tuple[int, list[int], BaseException | None]:
    """One run that is struck at the given bytecode; how many there were, and what the consumer got."""
    striker = Striker(at, error)
    ended: list[str] = []

    def source() -> Iterator[int]:
        try:
            yield 1
            yield 2
            if ending == "error":
                raise LookupError
            if ending == "stop":
                bridge.stop()
                yield 3
                yield 4
        finally:
            ended.append("body")

    executor = BareThreads()
    bridge = ThreadBridge(
        source, executor=executor, max_queue_size=1, on_enter=striker.on_enter, on_leave=striker.on_leave
    )
    got, end = await drain(bridge)
    executor.threads[0].join()
    assert striker.left >= 1
    assert ended == ["body"] or got == []
    return striker.opcodes, got, end


@pytest.mark.parametrize("ending", ["end", "error", "stop"])
@pytest.mark.parametrize("error", [CancelationError, KeyboardInterrupt])
def test_the_consumer_learns_of_the_end_at_whatever_bytecode_the_thread_is_struck(
    run: Run, ending: str, error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(producer_module, "_HAND_OVER_TIMEOUT", 1e-4)
    expected = {"end": type(None), "error": LookupError, "stop": CancelationError}[ending]

    async def main() -> int:
        for at in itertools.count(1):
            opcodes, got, end = await be_struck(at, error, ending)
            # Nothing comes twice, and nothing is left out.
            assert got == [1, 2, 3][: len(got)]
            assert type(end) in (expected, error)
            if opcodes < at:
                return at
        raise AssertionError

    assert run(main()) > 200


# Where a planted exception strikes a `__del__` or a weakref's callback, Python drops it; `stop` still ends the stream.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("size", [1, 10, 1000])
def test_a_cancelation_planted_at_any_time_ends_the_stream_and_spares_the_thread(
    run: Run, size: int, count: int
) -> None:
    chance = random.Random(size + count)
    executor = ThreadPoolExecutor(count)

    def source() -> Iterator[int]:
        number = 0
        while True:
            yield number
            number += 1

    async def one() -> None:
        interrupt = ThreadInterrupt()
        bridge = ThreadBridge(
            source, executor=executor, max_queue_size=size, on_enter=interrupt.enter, on_leave=interrupt.leave
        )
        draining = asyncio.ensure_future(drain(bridge))
        for _ in range(chance.randrange(6)):
            await asyncio.sleep(0)
        interrupt.interrupt()
        bridge.stop()
        interrupt.interrupt()
        got, end = await draining
        assert got == list(range(len(got)))
        assert isinstance(end, CancelationError)

    async def main() -> None:
        for _ in range(192 // count):
            await asyncio.gather(*(one() for _ in range(count)))

    try:
        run(main())
        # Every thread of the pool lives on and takes work.
        barrier = threading.Barrier(count, timeout=30)
        for job in [executor.submit(barrier.wait) for _ in range(count)]:
            job.result()
    finally:
        executor.shutdown()
