import asyncio
import contextlib
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextvars import ContextVar
from typing import Any, Protocol, assert_type

import pytest

from servekit.errors import CancelationError
from servekit.runtime.interrupt import ThreadInterrupt
from servekit.threads import aparallel, parallel

tenant: ContextVar[str] = ContextVar("tenant", default="nobody")


class Run(Protocol):
    def __call__(self, main: Any, /) -> Any: ...


def square(number: int) -> int:
    return number * number


async def square_async(number: int) -> int:
    await asyncio.sleep(0)
    return number * number


async def collect(results: AsyncGenerator[Any, None]) -> list[Any]:
    return [result async for result in results]


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.001)


class Gauge:
    """How many are inside at once, and at most."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.inside = 0
        self.most = 0

    def __enter__(self) -> None:
        with self._lock:
            self.inside += 1
            self.most = max(self.most, self.inside)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self.inside -= 1


# ---------------------------------------------------------------------- results


def test_results_come_in_the_order_of_the_items(count: int) -> None:
    assert parallel(square, range(300), max_concurrency=count) == [square(number) for number in range(300)]


def test_async_results_come_in_the_order_of_the_items(run: Run, count: int) -> None:
    expected = [square(number) for number in range(300)]

    assert run(collect(aparallel(square_async, range(300), max_concurrency=count))) == expected
    assert run(collect(aparallel(square, range(300), max_concurrency=count))) == expected


def test_sync_code_may_pass_an_async_function() -> None:
    assert parallel(square_async, range(20)) == [square(number) for number in range(20)]


def test_an_async_function_in_a_running_loop_is_pointed_to_aparallel(run: Run) -> None:
    async def main() -> None:
        parallel(square_async, [1])

    with pytest.raises(RuntimeError, match=r"use aparallel\(\) instead"):
        run(main())


def test_the_types_of_the_results_are_known(run: Run) -> None:
    async def main() -> None:
        assert_type(parallel(square, [1]), list[int])
        assert_type(parallel(square, [1], on_error="collect"), list[int | Exception])
        assert_type(aparallel(square, [1]), AsyncGenerator[int, None])
        assert_type(aparallel(square_async, [1]), AsyncGenerator[int, None])
        assert_type(aparallel(square_async, [1], on_error="collect"), AsyncGenerator[int | Exception, None])

    run(main())


def test_no_items_give_no_results(run: Run) -> None:
    assert parallel(square, []) == []
    assert run(collect(aparallel(square, []))) == []


def test_unordered_results_come_as_they_are_completed() -> None:
    others = threading.Event()

    def work(number: int) -> int:
        if number == 0:
            others.wait(30)
        if number == 9:
            others.set()
        return number

    results = parallel(work, range(10), max_concurrency=2, ordered=False)

    assert results != sorted(results)
    assert sorted(results) == list(range(10))


def test_unordered_async_results_come_as_they_are_completed(run: Run) -> None:
    async def main() -> list[int]:
        others = asyncio.Event()

        async def work(number: int) -> int:
            if number == 0:
                await others.wait()
            if number == 9:
                others.set()
            return number

        return await collect(aparallel(work, range(10), max_concurrency=2, ordered=False))

    assert run(main()) in ([*range(1, 10), 0], [*range(1, 9), 0, 9])


# ---------------------------------------------------------------------- bounds


def test_no_more_than_max_concurrency_run_at_once(count: int) -> None:
    gauge = Gauge()
    barrier = threading.Barrier(count, timeout=30)

    def work(_: int) -> None:
        with gauge:
            barrier.wait()  # so that many do run at once

    parallel(work, range(count * 3), max_concurrency=count)

    assert gauge.most == count


def test_no_more_than_max_concurrency_tasks_run_at_once(run: Run, count: int) -> None:
    gauge = Gauge()

    async def work(_: int) -> None:
        with gauge:
            await asyncio.sleep(0.001)

    run(collect(aparallel(work, range(count * 3), max_concurrency=count)))

    assert gauge.most == count


@pytest.mark.parametrize("fn", [square, square_async])
@pytest.mark.parametrize("ordered", [True, False])
def test_an_endless_input_is_read_no_further_than_needed(run: Run, fn: Callable[[int], Any], ordered: bool) -> None:
    taken = 0

    def endless() -> Iterator[int]:
        nonlocal taken
        while True:
            taken += 1
            yield taken

    async def main() -> None:
        results = aparallel(fn, endless(), max_concurrency=5, ordered=ordered)
        got = 0
        async with contextlib.aclosing(results):
            async for _ in results:
                got += 1
                assert taken <= got + 5
                if got == 300:
                    return

    run(main())
    assert taken <= 305


def test_sync_input_is_read_only_when_it_can_be_started() -> None:
    done = 0

    def lazy() -> Iterator[int]:
        for number in range(100):
            assert number <= done + 4
            yield number

    def work(number: int) -> int:
        nonlocal done
        done += 1
        return number

    assert parallel(work, lazy(), max_concurrency=4) == list(range(100))


@pytest.mark.parametrize("call", [parallel, aparallel])
def test_no_concurrency_at_all_is_refused(call: Any) -> None:
    with pytest.raises(ValueError, match="max_concurrency is 0"):
        call(square, [], max_concurrency=0)


@pytest.mark.parametrize("call", [parallel, aparallel])
def test_an_unknown_way_with_errors_is_refused(call: Any) -> None:
    with pytest.raises(ValueError, match="on_error is 'ignore'"):
        call(square, [], on_error="ignore")


def generator_function(number: int) -> Iterator[int]:
    yield number


@pytest.mark.parametrize("call", [parallel, aparallel])
def test_a_generator_function_is_refused(call: Any) -> None:
    with pytest.raises(TypeError, match="takes a plain function"):
        call(generator_function, [])


# ---------------------------------------------------------------------- Context


def see_and_change(number: int) -> str:
    before = tenant.get()
    tenant.set(f"{before}-{number}")
    return before


async def see_and_change_async(number: int) -> str:
    await asyncio.sleep(0)
    return see_and_change(number)


def test_every_item_runs_in_its_own_copy_of_the_callers_context(count: int) -> None:
    token = tenant.set("caller")
    try:
        for fn in (see_and_change, see_and_change_async):
            assert set(parallel(fn, range(100), max_concurrency=count)) == {"caller"}
        assert tenant.get() == "caller"
    finally:
        tenant.reset(token)


def test_every_async_item_runs_in_its_own_copy_of_the_callers_context(run: Run, count: int) -> None:
    async def main() -> None:
        tenant.set("caller")
        calls = [aparallel(fn, range(100), max_concurrency=count) for fn in (see_and_change, see_and_change_async)]
        tenant.set("consumer")
        for call in calls:
            assert set(await collect(call)) == {"caller"}
        assert tenant.get() == "consumer"

    run(main())


# ---------------------------------------------------------------------- errors


def fail_at_three(number: int) -> int:
    if number == 3:
        raise LookupError(number)
    return number


async def fail_at_three_async(number: int) -> int:
    return fail_at_three(number)


@pytest.mark.parametrize("fn", [fail_at_three, fail_at_three_async])
def test_errors_can_be_collected_in_place_of_results(run: Run, fn: Callable[[int], Any]) -> None:
    for results in (
        parallel(fn, range(6), on_error="collect"),
        run(collect(aparallel(fn, range(6), on_error="collect"))),
    ):
        assert [*results[:3], *results[4:]] == [0, 1, 2, 4, 5]
        assert isinstance(results[3], LookupError)


def test_no_item_is_started_after_the_first_error(run: Run) -> None:
    sync_items, async_items = iter(range(1000)), iter(range(1000))

    # In one thread the items end in their order, whatever else the machine does.
    with ThreadPoolExecutor(1) as executor:
        with pytest.raises(LookupError):
            parallel(fail_at_three, sync_items, max_concurrency=2, executor=executor)
        with pytest.raises(LookupError):
            run(collect(aparallel(fail_at_three, async_items, max_concurrency=2, executor=executor)))

    assert next(sync_items) == 5
    assert next(async_items) <= 5


def test_no_task_is_started_after_the_first_error(run: Run) -> None:
    sync_items, async_items = iter(range(1000)), iter(range(1000))

    with pytest.raises(LookupError):
        parallel(fail_at_three_async, sync_items, max_concurrency=2)
    with pytest.raises(LookupError):
        run(collect(aparallel(fail_at_three_async, async_items, max_concurrency=2)))

    assert next(sync_items) <= 6
    assert next(async_items) <= 6


@pytest.mark.parametrize("own", [True, False])
def test_what_runs_is_waited_for_when_another_item_fails(own: bool) -> None:
    gauge = Gauge()
    begun = threading.Event()
    failed = threading.Event()

    def work(number: int) -> None:
        if number == 1:
            begun.wait(30)
            failed.set()
            raise LookupError
        with gauge:
            begun.set()
            failed.wait(30)
            threading.Event().wait(0.02)

    with ThreadPoolExecutor(2) as executor:
        with pytest.raises(LookupError):
            parallel(work, range(2), executor=None if own else executor)
        assert (gauge.inside, gauge.most) == (0, 1)


def test_tasks_that_run_are_cancelled_and_awaited_when_another_item_fails(run: Run) -> None:
    ended: list[int] = []

    async def work(number: int) -> None:
        if number == 2:
            await asyncio.sleep(0)
            raise LookupError
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append(number)

    with pytest.raises(LookupError):
        run(collect(aparallel(work, range(1000), max_concurrency=3)))
    assert sorted(ended) == [0, 1]


@pytest.mark.parametrize("error", [CancelationError, SystemExit, KeyboardInterrupt])
def test_an_error_that_is_no_exception_is_never_collected(run: Run, error: type[BaseException]) -> None:
    def fail(_: int) -> None:
        raise error

    async def main() -> None:
        with pytest.raises(error):
            await collect(aparallel(fail, [1], on_error="collect"))

    with pytest.raises(error):
        parallel(fail, [1], on_error="collect")
    run(main())


def test_an_error_of_the_input_ends_everything(run: Run) -> None:
    def items() -> Iterator[int]:
        yield 1
        raise LookupError("input")

    with pytest.raises(LookupError, match="input"):
        parallel(square, items())
    with pytest.raises(LookupError, match="input"):
        run(collect(aparallel(square, items())))


def test_a_stop_iteration_of_the_function_is_a_runtime_error(run: Run) -> None:
    def fail(_: int) -> None:
        raise StopIteration

    with pytest.raises(RuntimeError, match="raised StopIteration"):
        parallel(fail, [1])
    with pytest.raises(RuntimeError, match="raised StopIteration"):
        run(collect(aparallel(fail, [1])))


# ---------------------------------------------------------------------- cancelation and executors


def test_a_cancelled_consumer_stops_the_intake_and_waits_for_the_threads(run: Run) -> None:
    gauge = Gauge()
    may_go_on = threading.Event()
    items = iter(range(1000))

    def work(_: int) -> None:
        with gauge:
            may_go_on.wait(30)

    async def main() -> None:
        task = asyncio.create_task(collect(aparallel(work, items, max_concurrency=3)))
        await until(lambda: gauge.inside == 3)
        task.cancel()
        await asyncio.sleep(0.01)
        assert not task.done()
        may_go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main())
    assert gauge.inside == 0
    assert next(items) == 3


def test_a_second_cancelation_ends_the_wait_for_the_threads(run: Run) -> None:
    gauge = Gauge()
    may_go_on = threading.Event()

    def work(_: int) -> None:
        with gauge:
            may_go_on.wait(30)

    async def main() -> None:
        task = asyncio.create_task(collect(aparallel(work, range(2))))
        await until(lambda: gauge.inside == 2)
        for _ in range(2):
            task.cancel()
            await asyncio.sleep(0.01)
        assert task.cancelled()
        assert gauge.inside == 2

    try:
        run(main())
    finally:
        may_go_on.set()


def test_leaving_the_iteration_cancels_what_runs(run: Run) -> None:
    cancelled: list[int] = []

    async def work(number: int) -> int:
        if number:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.append(number)
                raise
        return number

    async def main() -> None:
        async with contextlib.aclosing(aparallel(work, range(100), max_concurrency=4)) as results:
            assert await anext(results) == 0

    run(main())
    assert sorted(cancelled) == [1, 2, 3]


def test_a_passed_executor_is_used_and_left_open(run: Run) -> None:
    def name(_: int) -> str:
        return threading.current_thread().name

    with ThreadPoolExecutor(1, thread_name_prefix="mine") as executor:
        assert parallel(name, range(5), executor=executor) == ["mine_0"] * 5
        assert run(collect(aparallel(name, range(5), executor=executor))) == ["mine_0"] * 5
        assert executor.submit(int).result() == 0


def test_items_that_wait_for_a_thread_are_dropped_after_an_error() -> None:
    started: list[int] = []

    def work(number: int) -> None:
        started.append(number)
        raise LookupError

    with ThreadPoolExecutor(1) as executor, pytest.raises(LookupError):
        parallel(work, range(100), max_concurrency=50, executor=executor)

    assert len(started) < 50


def test_an_executor_that_drops_the_items_is_an_error() -> None:
    may_go_on = threading.Event()
    executor = ThreadPoolExecutor(1)
    executor.submit(may_go_on.wait, 30)

    def items() -> Iterator[int]:
        yield 1
        executor.shutdown(wait=False, cancel_futures=True)

    try:
        with pytest.raises(CancelledError):
            parallel(square, items(), executor=executor)
    finally:
        may_go_on.set()


def test_many_runs_in_a_row_leave_nothing_behind(run: Run, count: int) -> None:
    async def main() -> None:
        for _ in range(64 // count):
            for fn in (square, square_async):
                results = await collect(aparallel(fn, range(count * 2), max_concurrency=count))
                assert results == [square(number) for number in range(count * 2)]

    run(main())
    for _ in range(64 // count):
        assert len(parallel(square, range(count * 2), max_concurrency=count)) == count * 2


def test_a_wait_that_is_interrupted_ends_when_what_runs_has_ended() -> None:
    interrupt, began, may_end = ThreadInterrupt(), threading.Event(), threading.Event()
    outcomes: list[str] = []

    def call(_: int) -> None:
        began.set()
        assert may_end.wait(30)

    def work() -> None:
        interrupt.enter()
        try:
            parallel(call, range(100), max_concurrency=4)
        except CancelationError:
            outcomes.append("interrupted")
        finally:
            interrupt.leave()

    thread = threading.Thread(target=work, daemon=True)  # without this behaviour it would never end
    thread.start()
    began.wait(30)
    interrupt.interrupt()
    may_end.set()
    thread.join(10)

    assert outcomes == ["interrupted"]
