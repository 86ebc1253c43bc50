"""Timeouts, retries, counted errors, progress and nested calls of `parallel` and `aparallel`."""

import asyncio
import io
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import pytest

from servekit.errors import ItemStoppedError, ItemTimeoutError, ParallelError
from servekit.threads import ContextThreadPoolExecutor, RetryPolicy, aparallel, asyncify, course, parallel

AT_ONCE = RetryPolicy(retries=2, first_pause_seconds=0)


class Spread(Protocol):
    def __call__(self, fn: Callable[[int], Any], items: Any, **options: Any) -> list[Any]: ...


def spread_sync(fn: Callable[[int], Any], items: Any, **options: Any) -> list[Any]:
    return parallel(fn, items, **options)


def spread_async(fn: Callable[[int], Any], items: Any, **options: Any) -> list[Any]:
    async def main() -> list[Any]:
        async with asyncio.timeout(60):
            return [result async for result in aparallel(fn, items, **options)]

    return asyncio.run(main())


@pytest.fixture(params=[spread_sync, spread_async])
def spread(request: pytest.FixtureRequest) -> Spread:
    found: Spread = request.param
    return found


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What hangs until the test is over."""
    opened = threading.Event()
    yield opened
    opened.set()


def hold(gate: threading.Event, *held: int) -> Callable[[int], int]:
    def work(number: int) -> int:
        if number in held:
            assert gate.wait(30)
        return number

    return work


def as_async(work: Callable[[int], int]) -> Callable[[int], Coroutine[Any, Any, int]]:
    async def call(number: int) -> int:
        return work(number)

    return call


def as_it_is(work: Callable[[int], int]) -> Callable[[int], int]:
    return work


class Flaky:
    """Fails at every item for some times, and counts the calls."""

    def __init__(self, failures: int, error: type[Exception] = LookupError) -> None:
        self._lock = threading.Lock()
        self._failures = failures
        self._error = error
        self.calls: dict[int, int] = {}

    def __call__(self, number: int) -> int:
        with self._lock:
            count = self.calls[number] = self.calls.get(number, 0) + 1
        if count <= self._failures:
            raise self._error(number)
        return number


# ---------------------------------------------------------------------- timeout


def test_an_item_in_a_thread_that_takes_too_long_fails_alone(spread: Spread, gate: threading.Event) -> None:
    results = spread(hold(gate, 1), range(4), timeout=0.05, on_error="collect")

    assert isinstance(results.pop(1), ItemTimeoutError)
    assert results == [0, 2, 3]


def test_an_async_item_that_takes_too_long_is_cancelled(spread: Spread) -> None:
    cancelled: list[int] = []

    async def work(number: int) -> int:
        try:
            await asyncio.sleep(0 if number != 1 else 30)
        except asyncio.CancelledError:
            cancelled.append(number)
            raise
        return number

    results = spread(work, range(4), timeout=0.05, on_error="collect")

    assert isinstance(results.pop(1), TimeoutError)
    assert (results, cancelled) == ([0, 2, 3], [1])


def test_a_timeout_is_raised_like_any_error_and_says_what_still_runs(spread: Spread, gate: threading.Event) -> None:
    with pytest.raises(ItemTimeoutError, match=r"longer than its timeout of 0\.05 s") as caught:
        spread(hold(gate, 0), [0], timeout=0.05)

    assert "1 call not returned yet" in caught.value.__notes__[0]


def test_the_log_says_what_still_runs_when_all_items_have_their_outcome(
    spread: Spread, gate: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    spread(hold(gate, 0), [0], timeout=0.05, on_error="collect")

    assert "with 1 call that timed out" in caplog.text


def test_a_call_that_timed_out_keeps_its_place_until_it_returns(spread: Spread, gate: threading.Event) -> None:
    threads: set[int] = set()

    def work(number: int) -> int:
        if number == 0:
            assert gate.wait(30)
        threads.add(threading.get_ident())
        return number

    results = spread(work, range(20), timeout=0.05, max_concurrency=2, on_error="collect")

    assert results[1:] == list(range(1, 20))
    assert len(threads) == 1


def test_time_spent_waiting_for_a_thread_does_not_count(spread: Spread) -> None:
    busy = threading.Event()
    with ThreadPoolExecutor(1) as executor:
        executor.submit(busy.wait, 30)
        timer = threading.Timer(0.2, busy.set)
        timer.start()

        assert spread(int, [1, 2], timeout=0.1, executor=executor) == [1, 2]
    timer.join()


def test_a_call_that_never_gives_back_its_place_ends_all_with_what_there_is(
    spread: Spread, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(course, "_STUCK_SECONDS", 0.05)

    with pytest.raises(ParallelError, match="all 1 places") as caught:
        spread(hold(gate, 1), range(10), timeout=0.05, max_concurrency=1, on_error="collect")

    assert isinstance(caught.value.results[-1], ItemStoppedError)
    assert caught.value.not_started == 7
    assert (caught.value.done, caught.value.failed) == (1, 1)


# ---------------------------------------------------------------------- retries


@pytest.mark.parametrize("wrap", [as_it_is, as_async], ids=["thread", "task"])
def test_a_failed_item_is_tried_again(spread: Spread, wrap: Callable[[Any], Any]) -> None:
    flaky = Flaky(2)

    assert spread(wrap(flaky), range(5), retries=AT_ONCE) == list(range(5))
    assert set(flaky.calls.values()) == {3}


def test_a_number_of_retries_will_do(spread: Spread) -> None:
    flaky = Flaky(1)

    assert spread(flaky, [7], retries=1) == [7]


def test_an_item_whose_tries_are_used_up_fails_with_its_last_error(spread: Spread) -> None:
    flaky = Flaky(9)

    assert isinstance(spread(flaky, [0], retries=AT_ONCE, on_error="collect")[0], LookupError)
    assert flaky.calls == {0: 3}


def test_what_is_not_worth_it_is_not_tried_again(spread: Spread) -> None:
    flaky = Flaky(1)

    with pytest.raises(LookupError):
        spread(flaky, [0], retries=RetryPolicy(on=OSError))
    assert flaky.calls == {0: 1}


def test_an_async_item_is_tried_again_after_its_timeout(spread: Spread) -> None:
    calls: list[int] = []

    async def work(number: int) -> int:
        calls.append(number)
        await asyncio.sleep(30 if len(calls) == 1 else 0)
        return number

    assert spread(work, [5], timeout=0.05, retries=AT_ONCE) == [5]
    assert calls == [5, 5]


def test_a_call_that_still_runs_after_its_timeout_is_never_doubled(spread: Spread, gate: threading.Event) -> None:
    calls: list[int] = []

    def work(number: int) -> None:
        calls.append(number)
        assert gate.wait(30)

    with pytest.raises(ItemTimeoutError) as caught:
        spread(work, [5], timeout=0.05, retries=AT_ONCE)

    assert calls == [5]
    assert any("not tried again" in note for note in caught.value.__notes__)


def test_a_fault_in_the_choice_of_what_to_retry_ends_the_call(spread: Spread) -> None:
    def choose(_: Exception) -> bool:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        spread(Flaky(1), [0], retries=RetryPolicy(on=choose))


# ---------------------------------------------------------------------- max_errors


@pytest.mark.parametrize("wrap", [as_it_is, as_async], ids=["thread", "task"])
def test_too_many_errors_end_the_call_with_the_results_so_far(spread: Spread, wrap: Callable[[Any], Any]) -> None:
    def work(number: int) -> int:
        if number in (1, 3):
            raise LookupError(number)
        return number

    with pytest.raises(ParallelError, match=r"2 items failed, the last one with LookupError\(3\)") as caught:
        spread(wrap(work), range(100), max_concurrency=1, on_error="collect", max_errors=2)

    error = caught.value
    assert (error.done, error.failed, error.not_started) == (2, 2, 96)
    assert [str(result) for result in error.results][-1] == "3"
    assert isinstance(error.__cause__, LookupError)


def test_errors_beyond_the_limit_that_come_at_once_are_in_the_results(spread: Spread) -> None:
    together = threading.Barrier(3, timeout=30)

    def work(number: int) -> None:
        together.wait()
        raise LookupError(number)

    with pytest.raises(ParallelError, match="ended early: 1 items failed") as caught:
        spread(work, range(9), max_concurrency=3, on_error="collect", max_errors=1)

    assert [type(result) for result in caught.value.results] == [LookupError] * 3
    assert (caught.value.failed, caught.value.not_started) == (3, 6)


def test_an_item_that_was_stopped_has_an_error_in_its_place() -> None:
    async def work(number: int) -> int:
        if number == 1:
            raise LookupError
        await asyncio.sleep(0 if number != 0 else 30)
        return number

    with pytest.raises(ParallelError) as caught:
        parallel(work, range(100), max_concurrency=2, on_error="collect", max_errors=1)

    assert [type(result) for result in caught.value.results] == [ItemStoppedError, LookupError]


def test_a_parallel_error_of_an_item_is_left_as_it_is() -> None:
    inner = ParallelError("inner")
    inner.results = ["inner"]

    def work(_: int) -> None:
        raise inner

    with pytest.raises(ParallelError, match="inner") as caught:
        parallel(work, [1])
    assert caught.value.results == ["inner"]


# ---------------------------------------------------------------------- progress


def test_progress_is_told_after_each_item_by_the_calling_thread(spread: Spread) -> None:
    told: list[tuple[int, int, int | None]] = []
    threads: set[int] = set()

    def tell(done: int, failed: int, total: int | None) -> None:
        told.append((done, failed, total))
        threads.add(threading.get_ident())

    def work(number: int) -> int:
        return 1 // number

    spread(work, [1, 0, 2], max_concurrency=1, on_error="collect", progress=tell)
    spread(work, iter([1]), progress=tell)

    assert told == [(1, 0, 3), (1, 1, 3), (2, 1, 3), (1, 0, None)]
    assert threads == {threading.get_ident()}


def test_a_progress_callback_that_fails_loses_no_result(spread: Spread, caplog: pytest.LogCaptureFixture) -> None:
    def tell(*_: object) -> None:
        raise ZeroDivisionError

    assert spread(int, range(5), progress=tell) == list(range(5))
    assert [record.exc_info is not None for record in caplog.records] == [True]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("stream", "line"), [(Terminal, "\r3 of 3 items, 0 failed\n"), (io.StringIO, "")])
def test_a_line_of_progress_is_written_to_a_terminal(
    stream: type[io.StringIO], line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stderr = stream()
    monkeypatch.setattr(sys, "stderr", stderr)

    parallel(int, range(3), progress=True)

    assert stderr.getvalue()[-len(line) :] == line


# ---------------------------------------------------------------------- nesting


def test_calls_may_be_nested_as_deep_as_one_likes(spread: Spread) -> None:
    def middle(number: int) -> int:
        return sum(spread(leaf_async, range(number), max_concurrency=2))

    async def leaf_async(number: int) -> int:
        return sum([result async for result in aparallel(int, range(number), max_concurrency=2)])

    assert spread(middle, range(8), max_concurrency=4) == [0, 0, 0, 1, 4, 10, 20, 35]


@pytest.mark.parametrize("kind", [ThreadPoolExecutor, ContextThreadPoolExecutor])
def test_an_executor_whose_thread_waits_is_refused_instead_of_a_deadlock(
    spread: Spread, kind: type[ThreadPoolExecutor]
) -> None:
    with kind(1) as executor:

        def inner(_: int) -> Any:
            return spread(int, [1, 2], executor=executor)

        def through_another(_: int) -> Any:
            return spread(inner, [1])

        for fn in (inner, through_another):
            with pytest.raises(RuntimeError, match="all its threads might wait here for one another"):
                spread(fn, [1], executor=executor)
            with pytest.raises(RuntimeError, match="all its threads might wait here for one another"):
                executor.submit(fn, 1).result(30)
        assert executor.submit(int).result(30) == 0


def test_an_executor_may_be_used_again_after_and_beside_a_call(spread: Spread) -> None:
    with ContextThreadPoolExecutor(2) as executor:

        async def main() -> list[int]:
            return await asyncify(lambda: parallel(int, [1, 2], executor=executor))()

        assert spread(int, [1], executor=executor) == [1]
        assert asyncio.run(main()) == [1, 2]


# ---------------------------------------------------------------------- arguments


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"timeout": 0}, "timeout is 0"),
        ({"timeout": float("nan")}, "timeout is nan"),
        ({"retries": -1}, "retries is -1"),
        ({"max_errors": 0, "on_error": "collect"}, "max_errors is 0"),
        ({"max_errors": 3}, 'give on_error="collect"'),
    ],
)
@pytest.mark.parametrize("call", [parallel, aparallel])
def test_an_argument_that_cannot_be_meant_is_refused(call: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(int, [], **options)
