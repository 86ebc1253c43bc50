import asyncio
import contextlib
import functools
import random
import sys
import threading
import traceback
import weakref
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.thread import BrokenThreadPool
from contextvars import ContextVar
from typing import Any, Protocol, assert_type, cast

import pytest

from servekit.errors import CancelationError
from servekit.threads import async_generator_from_thread, producer

tenant: ContextVar[str] = ContextVar("tenant", default="nobody")


class Run(Protocol):
    def __call__(self, main: Any, /) -> Any: ...


@async_generator_from_thread
def count_to(number: int) -> Iterator[int]:
    yield from range(number)


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop and the other threads run until something has come about."""
    while not condition():
        await asyncio.sleep(0.001)


# ---------------------------------------------------------------------- what it is


def test_items_arrive_in_order(run: Run) -> None:
    async def main() -> list[int]:
        return [item async for item in count_to(5000)]

    assert run(main()) == list(range(5000))


def test_a_generator_without_items_ends_at_once(run: Run) -> None:
    async def main() -> list[int]:
        return [item async for item in count_to(0)]

    assert run(main()) == []


def test_both_forms_of_the_decorator_keep_the_signature(run: Run) -> None:
    @async_generator_from_thread(max_queue_size=2)
    def repeat(word: str, *, times: int = 1) -> Iterator[str]:
        """Say it again."""
        for _ in range(times):
            yield word

    async def main() -> list[str]:
        assert_type(count_to(1), AsyncGenerator[int, None])
        assert_type(repeat("a"), AsyncGenerator[str, None])
        return [item async for item in repeat("a", times=3)]

    assert run(main()) == ["a", "a", "a"]
    assert (repeat.__name__, repeat.__doc__) == ("repeat", "Say it again.")


def test_a_method_can_be_decorated(run: Run) -> None:
    class Model:
        def __init__(self) -> None:
            self.words = ["a", "b"]

        @async_generator_from_thread()
        def predict(self) -> Iterator[str]:
            yield from self.words

    async def main() -> list[str]:
        return [item async for item in Model().predict()]

    assert run(main()) == ["a", "b"]


def test_an_async_function_is_refused() -> None:
    async def already() -> AsyncGenerator[int, None]:
        yield 1

    with pytest.raises(TypeError, match="is async already"):
        async_generator_from_thread(cast("Any", already))


def test_a_negative_queue_size_is_refused() -> None:
    with pytest.raises(ValueError, match="max_queue_size is -1"):
        async_generator_from_thread(max_queue_size=-1)


def test_no_thread_is_started_before_the_first_item_is_asked_for(run: Run) -> None:
    begun = threading.Event()

    @async_generator_from_thread
    def generate() -> Iterator[int]:
        begun.set()
        yield 1

    async def main() -> None:
        items = generate()
        await items.aclose()

    run(main())
    assert not begun.is_set()


# ---------------------------------------------------------------------- one Context


def test_all_steps_of_the_body_run_in_one_thread_and_one_context(run: Run) -> None:
    threads: set[int] = set()

    @async_generator_from_thread
    def generate() -> Iterator[str]:
        token = tenant.set("inside")
        try:
            for _ in range(100):
                threads.add(threading.get_ident())
                yield tenant.get()
        finally:
            tenant.reset(token)  # raises in any other Context

    async def main() -> list[str]:
        return [item async for item in generate()]

    assert run(main()) == ["inside"] * 100
    assert len(threads) == 1


def test_the_body_sees_the_context_of_the_call_not_of_the_consumer(run: Run) -> None:
    @async_generator_from_thread
    def generate() -> Iterator[str]:
        yield tenant.get()
        yield tenant.get()

    async def main() -> list[str]:
        tenant.set("caller")
        items = generate()
        tenant.set("consumer")
        return [item async for item in items]

    assert run(main()) == ["caller", "caller"]


def test_the_consumer_never_sees_what_the_body_sets(run: Run) -> None:
    @async_generator_from_thread
    def generate() -> Iterator[int]:
        for number in range(10):
            tenant.set("body")
            yield number

    async def main() -> set[str]:
        return {tenant.get() async for _ in generate()}

    assert run(main()) == {"nobody"}


def test_it_is_closed_in_its_own_thread_and_context(run: Run) -> None:
    seen: list[tuple[int, str]] = []

    @async_generator_from_thread(max_queue_size=1)
    def generate() -> Iterator[int]:
        token = tenant.set("inside")
        try:
            seen.append((threading.get_ident(), tenant.get()))
            yield 1
            yield 2
        finally:
            seen.append((threading.get_ident(), tenant.get()))
            tenant.reset(token)

    async def main() -> None:
        async with contextlib.aclosing(generate()) as items:
            await anext(items)

    run(main())
    assert len(seen) == 2
    assert seen[0] == seen[1]
    assert seen[0][0] != threading.get_ident()


def test_many_streams_at_once_keep_their_contexts_apart(run: Run, count: int) -> None:
    @async_generator_from_thread(max_queue_size=4)
    def generate() -> Iterator[str]:
        own = tenant.get()
        for number in range(50):
            assert tenant.get() == f"{own}" if number == 0 else f"{own}+{number - 1}"
            tenant.set(f"{own}+{number}")
            yield tenant.get()

    async def consume(name: str) -> None:
        tenant.set(name)
        assert [item async for item in generate()] == [f"{name}+{number}" for number in range(50)]

    async def main() -> None:
        await asyncio.gather(*(consume(f"tenant-{number}") for number in range(count)))

    run(main())


# ---------------------------------------------------------------------- batches, and the loop


class CountingLoop(asyncio.SelectorEventLoop):
    """An event loop that counts how often another thread called into it."""

    calls = 0

    def _write_to_self(self) -> None:
        self.calls += 1
        super()._write_to_self()  # type: ignore[misc] # what call_soon_threadsafe ends with; not in the stubs


def test_one_wake_up_carries_everything_produced_since_the_last_one() -> None:
    done = threading.Event()

    @async_generator_from_thread
    def generate() -> Iterator[int]:
        yield from range(100_000)
        done.set()

    async def main() -> int:
        items = generate()
        await anext(items)
        done.wait(30)  # the loop is busy while the rest is produced
        rest = [item async for item in items]
        assert rest == list(range(1, 100_000))
        loop = asyncio.get_running_loop()
        assert isinstance(loop, CountingLoop)
        return loop.calls

    with asyncio.Runner(loop_factory=CountingLoop) as runner:
        calls = runner.run(main())

    # One for the first item, one for the end, and one if the first item came just when the consumer was to wait.
    assert calls <= 3


def test_the_loop_runs_while_the_body_waits(run: Run) -> None:
    may_go_on = threading.Event()

    @async_generator_from_thread
    def generate() -> Iterator[int]:
        may_go_on.wait(30)
        yield 1

    async def main() -> list[int]:
        # Set by the loop: it would wait for ever if the body blocked it.
        asyncio.get_running_loop().call_soon(asyncio.get_running_loop().call_soon, may_go_on.set)
        return [item async for item in generate()]

    assert run(main()) == [1]


def test_other_tasks_get_their_turn_while_items_are_plenty(run: Run) -> None:
    produced = threading.Event()

    @async_generator_from_thread
    def generate() -> Iterator[int]:
        yield from range(100_000)
        produced.set()

    async def main() -> int:
        turns = 0

        async def take_turns() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        other = asyncio.create_task(take_turns())
        items = generate()
        await anext(items)
        produced.wait(30)
        turns = 0
        async for _ in items:
            pass
        other.cancel()
        return turns

    assert run(main()) >= 90


def test_the_first_item_arrives_before_the_body_goes_on(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(producer, "_HAND_OVER_TIMEOUT", 30)
    arrived = threading.Event()
    had_arrived: list[bool] = []

    @async_generator_from_thread
    def generate() -> Iterator[int]:
        yield 1
        had_arrived.append(arrived.is_set())
        yield 2

    async def main() -> None:
        async for _ in generate():
            arrived.set()

    # Nothing but the hand-over gives the interpreter away.
    interval = sys.getswitchinterval()
    sys.setswitchinterval(10)
    try:
        run(main())
    finally:
        sys.setswitchinterval(interval)
    assert had_arrived == [True]


def test_an_item_is_not_kept_alive_by_the_bridge(run: Run) -> None:
    class Tensor:
        pass

    references: list[weakref.ref[Tensor]] = []
    may_go_on = threading.Event()

    @async_generator_from_thread
    def generate() -> Iterator[Tensor]:
        for _ in range(2):
            tensor = Tensor()
            references.append(weakref.ref(tensor))
            yield tensor
            del tensor
            may_go_on.wait(30)

    async def main() -> bool:
        items = generate()
        await anext(items)
        waiting = asyncio.ensure_future(anext(items))
        await until(lambda: references[0]() is None)
        may_go_on.set()
        await waiting
        await items.aclose()
        return True

    assert run(main())


# ---------------------------------------------------------------------- backpressure


@pytest.mark.parametrize("size", [1, 3, 100])
def test_the_body_is_never_further_ahead_than_the_queue_allows_and_wakes_at_once(
    run: Run, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The look at whether the loop was closed must not be what wakes it.
    monkeypatch.setattr(producer, "_LOOK_FOR_LOOP_EVERY", 3600)
    produced = 0

    @async_generator_from_thread(max_queue_size=size)
    def generate() -> Iterator[int]:
        nonlocal produced
        for number in range(500):
            produced += 1
            yield number

    def has_produced(number: int) -> bool:
        return produced == number

    async def main() -> None:
        taken = 0
        items = generate()
        async for _ in items:
            taken += 1
            # Those in the queue and the one in hand.
            assert produced <= taken + size
            if taken % 100 == 1 and taken + size <= 500:
                await until(functools.partial(has_produced, taken + size))

    run(main())
    assert produced == 500


@pytest.mark.parametrize("size", [1, 2, 0])
def test_no_wake_up_is_lost_under_forced_thread_switches(
    run: Run, size: int, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.setattr(producer, "_LOOK_FOR_LOOP_EVERY", 3600)

    @async_generator_from_thread(max_queue_size=size)
    def generate() -> Iterator[int]:
        yield from range(3200 // count)

    async def consume() -> None:
        assert [item async for item in generate()] == list(range(3200 // count))

    async def main() -> None:
        await asyncio.gather(*(consume() for _ in range(count)))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        run(main())
    finally:
        sys.setswitchinterval(interval)


# ---------------------------------------------------------------------- a consumer that goes


class Endless:
    """A generator that runs for ever, and tells when it was closed and by whom."""

    def __init__(self, max_queue_size: int = 0) -> None:
        self.closed = threading.Event()
        self.thread: threading.Thread | None = None
        self.items = async_generator_from_thread(max_queue_size=max_queue_size)(self._generate)

    def _generate(self) -> Iterator[int]:
        self.thread = threading.current_thread()
        number = 0
        try:
            while True:
                yield number
                number += 1
        finally:
            assert threading.current_thread() is self.thread
            self.closed.set()

    def has_ended(self) -> bool:
        assert self.thread is not None
        self.thread.join(20)
        return self.closed.is_set() and not self.thread.is_alive()


@pytest.mark.parametrize("size", [0, 1, 100])
def test_aclose_waits_until_the_generator_is_closed(run: Run, size: int) -> None:
    endless = Endless(size)

    async def main() -> bool:
        items = endless.items()
        assert await anext(items) == 0
        await items.aclose()
        return endless.closed.is_set()

    assert run(main())
    assert endless.has_ended()


@pytest.mark.parametrize("size", [0, 1])
def test_a_broken_loop_closes_the_generator(run: Run, size: int) -> None:
    endless = Endless(size)

    async def main() -> None:
        async for item in endless.items():
            if item == 10:
                break

    run(main())
    assert endless.has_ended()


@pytest.mark.parametrize("size", [0, 1])
def test_an_exception_in_the_consumer_closes_the_generator(run: Run, size: int) -> None:
    endless = Endless(size)

    async def main() -> None:
        async with contextlib.aclosing(endless.items()) as items:
            async for _ in items:
                raise LookupError

    with pytest.raises(LookupError):
        run(main())
    assert endless.has_ended()


def test_a_cancelled_consumer_goes_at_once_and_the_generator_is_closed_at_its_next_item(run: Run) -> None:
    working = threading.Event()
    may_go_on = threading.Event()
    closed = threading.Event()

    @async_generator_from_thread
    def generate() -> Iterator[int]:
        try:
            yield 1
            working.set()
            may_go_on.wait(30)
            yield 2
            yield 3
        finally:
            closed.set()

    async def main() -> None:
        async def consume() -> None:
            async for _ in generate():
                pass

        task = asyncio.create_task(consume())
        await until(working.is_set)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not closed.is_set()
        may_go_on.set()
        await until(closed.is_set)

    run(main())


def test_what_closing_raises_comes_out_of_aclose(run: Run) -> None:
    @async_generator_from_thread(max_queue_size=1)
    def generate() -> Iterator[int]:
        try:
            yield 1
            yield 2
        finally:
            raise LookupError("while closing")

    async def main() -> None:
        items = generate()
        await anext(items)
        await items.aclose()

    with pytest.raises(LookupError, match="while closing"):
        run(main())


def test_a_generator_that_ignores_its_closing_is_an_error(run: Run) -> None:
    @async_generator_from_thread(max_queue_size=1)
    def generate() -> Iterator[int]:
        with contextlib.suppress(GeneratorExit):
            yield 1
            yield 2
        yield 3

    async def main() -> None:
        items = generate()
        await anext(items)
        await items.aclose()

    with pytest.raises(RuntimeError, match="ignored GeneratorExit"):
        run(main())


def test_what_closing_raises_after_a_cancelation_goes_to_the_exception_handler(run: Run) -> None:
    reported: list[dict[str, Any]] = []

    @async_generator_from_thread(max_queue_size=1)
    def generate() -> Iterator[int]:
        try:
            yield 1
            yield 2
        finally:
            raise LookupError("while closing")

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
        first = asyncio.Event()

        async def consume() -> None:
            async for _ in generate():
                first.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(consume())
        await first.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: bool(reported))

    run(main())
    assert [str(context["exception"]) for context in reported] == ["while closing"]


@pytest.mark.parametrize("size", [0, 1])
def test_the_generator_is_closed_when_the_loop_is_closed(
    loop_factory: Callable[[], asyncio.AbstractEventLoop], size: int
) -> None:
    endless = Endless(size)
    loop = loop_factory()
    items = endless.items()
    loop.run_until_complete(anext(items))

    # Without shutdown_asyncgens, so that nothing but the closed loop can tell.
    loop.close()

    assert endless.has_ended()
    del items


def test_the_generator_is_closed_when_the_loop_is_closed_while_the_consumer_waits(
    loop_factory: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    may_go_on = threading.Event()
    closed = threading.Event()

    @async_generator_from_thread
    def generate() -> Iterator[int]:
        try:
            yield 1
            may_go_on.wait(30)
            yield 2
            yield 3
        finally:
            closed.set()

    loop = loop_factory()
    items = generate()
    loop.run_until_complete(anext(items))
    waiting = loop.create_task(anext(items))
    loop.run_until_complete(asyncio.sleep(0))

    loop.close()
    may_go_on.set()

    assert closed.wait(20)
    del waiting


# ---------------------------------------------------------------------- errors


ERRORS: list[type[BaseException]] = [
    ValueError,
    CancelationError,
    KeyboardInterrupt,
    SystemExit,
    asyncio.CancelledError,
    GeneratorExit,
]


def failing_body(error: type[BaseException], items: int) -> Iterator[int]:
    yield from range(items)
    raise error("on purpose")


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("size", [0, 1, 3])
def test_an_error_arrives_after_all_items_before_it_with_its_traceback(
    run: Run, error: type[BaseException], size: int
) -> None:
    generate = async_generator_from_thread(max_queue_size=size)(failing_body)

    async def main() -> tuple[list[int], BaseException]:
        got: list[int] = []
        try:
            async for item in generate(error, 3):
                got.append(item)  # noqa: PERF401 - what came before the error is wanted
        except BaseException as caught:  # noqa: BLE001 - whatever it is
            return got, caught
        raise AssertionError("it ended without an error")

    got, caught = run(main())
    assert got == [0, 1, 2]
    assert type(caught) is error
    assert str(caught) == "on purpose"
    assert traceback.extract_tb(caught.__traceback__)[-1].name == "failing_body"


@pytest.mark.parametrize("error", [StopIteration, StopAsyncIteration])
def test_a_stop_raised_in_the_body_is_a_runtime_error(run: Run, error: type[Exception]) -> None:
    generate = async_generator_from_thread(failing_body)

    async def main() -> None:
        async for _ in generate(error, 1):
            pass

    with pytest.raises(RuntimeError, match=f"raised {error.__name__}") as caught:
        run(main())
    assert isinstance(caught.value.__cause__, error)


def test_arguments_that_do_not_fit_raise_a_type_error(run: Run) -> None:
    async def main() -> None:
        await anext(cast("Any", count_to)(1, 2))

    with pytest.raises(TypeError, match="positional argument"):
        run(main())


# ---------------------------------------------------------------------- executors


def test_a_passed_executor_is_used_and_never_shut_down(run: Run) -> None:
    with ThreadPoolExecutor(1, thread_name_prefix="mine") as executor:

        @async_generator_from_thread(executor=executor)
        def generate() -> Iterator[str]:
            yield threading.current_thread().name

        async def main() -> list[str]:
            return [item async for item in generate()]

        assert run(main()) == ["mine_0"]
        assert run(main()) == ["mine_0"]
        assert executor.submit(int).result() == 0


def test_its_own_thread_ends_with_the_generator(run: Run) -> None:
    threads: list[threading.Thread] = []

    @async_generator_from_thread
    def generate() -> Iterator[int]:
        threads.append(threading.current_thread())
        yield 1

    async def main() -> None:
        async for _ in generate():
            pass

    run(main())
    threads[0].join(20)
    assert not threads[0].is_alive()


def test_an_executor_that_drops_the_job_is_an_error(run: Run) -> None:
    may_go_on = threading.Event()
    executor = ThreadPoolExecutor(1)
    executor.submit(may_go_on.wait, 30)
    generate = async_generator_from_thread(executor=executor)(failing_body)

    async def main() -> None:
        first = asyncio.ensure_future(anext(generate(ValueError, 0)))
        await asyncio.sleep(0)
        executor.shutdown(wait=False, cancel_futures=True)
        await first

    try:
        with pytest.raises(RuntimeError, match="shut down before the generator could begin"):
            run(main())
    finally:
        may_go_on.set()


def test_an_executor_that_takes_no_jobs_is_an_error(run: Run) -> None:
    executor = ThreadPoolExecutor(1)
    executor.shutdown()
    generate = async_generator_from_thread(executor=executor)(failing_body)

    async def main() -> None:
        await anext(generate(ValueError, 0))

    with pytest.raises(RuntimeError, match="cannot schedule new futures"):
        run(main())


def test_an_executor_whose_threads_cannot_start_is_an_error(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise LookupError("no GPU")

    with ThreadPoolExecutor(1, initializer=fail) as executor:
        generate = async_generator_from_thread(executor=executor)(failing_body)

        async def main() -> None:
            await anext(generate(ValueError, 0))

        with pytest.raises(BrokenThreadPool):
            run(main())
    assert "no GPU" in caplog.text


# ---------------------------------------------------------------------- many times in a row


async def leave_somehow(items: AsyncGenerator[int, None], chance: random.Random) -> None:
    """Take a few items and go: by an error, by closing, by a cancelation, or at the end."""
    last = chance.randrange(60)

    async def consume() -> None:
        async with contextlib.aclosing(items):
            async for item in items:
                if item == last:
                    raise LookupError

    task = asyncio.create_task(consume())
    if chance.random() < 0.4:
        for _ in range(chance.randrange(10)):
            await asyncio.sleep(0)
        task.cancel()
    await asyncio.wait([task])
    if not task.cancelled():
        assert isinstance(task.exception(), LookupError | None)


def test_streams_left_at_any_point_leave_nothing_behind(run: Run, count: int) -> None:
    chance = random.Random(count)
    lives: list[str] = []

    @async_generator_from_thread(max_queue_size=3)
    def generate() -> Iterator[int]:
        lives.append("begin")
        try:
            yield from range(50)
        finally:
            lives.append("end")

    async def main() -> None:
        for _ in range(256 // count):
            await asyncio.gather(*(leave_somehow(generate(), chance) for _ in range(count)))
        await until(lambda: lives.count("begin") == lives.count("end"))

    run(main())
    assert lives
