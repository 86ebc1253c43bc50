import asyncio
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import Any, Protocol, assert_type

import pytest

from servekit.errors import CancelationError
from servekit.threads import asyncify

tenant: ContextVar[str] = ContextVar("tenant", default="nobody")


class Run(Protocol):
    def __call__(self, main: Any, /) -> Any: ...


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.001)


def add(left: int, *, right: int = 1) -> int:
    """Sum."""
    return left + right


def test_the_result_comes_back_and_the_signature_stays(run: Run) -> None:
    add_async = asyncify(add)

    async def main() -> int:
        assert_type(await add_async(1), int)
        return await add_async(2, right=3)

    assert run(main()) == 5
    assert (add_async.__name__, add_async.__doc__) == ("add", "Sum.")


def test_it_runs_in_another_thread_while_the_loop_goes_on(run: Run) -> None:
    may_go_on = threading.Event()

    @asyncify
    def wait() -> int:
        may_go_on.wait(30)
        return threading.get_ident()

    async def main() -> int:
        asyncio.get_running_loop().call_soon(asyncio.get_running_loop().call_soon, may_go_on.set)
        return await wait()

    assert run(main()) != threading.get_ident()


def test_every_call_runs_in_its_own_copy_of_the_callers_context(run: Run, count: int) -> None:
    @asyncify
    def change() -> str:
        before = tenant.get()
        tenant.set("changed")
        return before

    async def call_as(name: str) -> None:
        tenant.set(name)
        assert [await change() for _ in range(3)] == [name] * 3
        assert tenant.get() == name

    async def main() -> None:
        await asyncio.gather(*(call_as(str(number)) for number in range(count)))

    run(main())


@pytest.mark.parametrize("error", [ValueError, CancelationError, KeyboardInterrupt, SystemExit])
def test_an_error_keeps_its_traceback(run: Run, error: type[BaseException]) -> None:
    @asyncify
    def fail() -> None:
        raise error("on purpose")

    async def main() -> BaseException:
        try:
            await fail()
        except BaseException as caught:  # noqa: BLE001 - whatever it is
            return caught
        raise AssertionError

    caught = run(main())
    assert type(caught) is error
    assert traceback.extract_tb(caught.__traceback__)[-1].name == "fail"


def test_a_stop_iteration_is_a_runtime_error(run: Run) -> None:
    @asyncify
    def fail() -> None:
        next(iter(()))

    with pytest.raises(RuntimeError, match="raised StopIteration") as caught:
        run(fail())
    assert isinstance(caught.value.__cause__, StopIteration)


def test_a_cancelled_call_ends_at_once_and_its_thread_runs_on(run: Run) -> None:
    begun = threading.Event()
    may_go_on = threading.Event()
    done = threading.Event()

    @asyncify
    def work() -> None:
        begun.set()
        may_go_on.wait(30)
        done.set()

    async def main() -> None:
        task = asyncio.create_task(work())
        await until(begun.is_set)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not done.is_set()
        may_go_on.set()
        await until(done.is_set)

    run(main())


def test_no_more_than_the_limit_run_at_once(run: Run) -> None:
    lock = threading.Lock()
    running = 0
    most = 0
    barrier = threading.Barrier(3, timeout=30)

    def work() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        barrier.wait()  # so three do run at once
        with lock:
            running -= 1

    work_async = asyncify(work, limit=3)

    async def main() -> None:
        await asyncio.gather(*(work_async() for _ in range(30)))

    run(main())
    assert most == 3


def test_a_cancelled_call_counts_until_its_thread_is_free(run: Run) -> None:
    begun: list[str] = []
    may_go_on = threading.Event()

    def work(name: str) -> None:
        begun.append(name)
        may_go_on.wait(30)

    work_async = asyncify(work, limit=1)

    async def main() -> None:
        first = asyncio.create_task(work_async("first"))
        await until(lambda: begun == ["first"])
        first.cancel()
        dropped = asyncio.create_task(work_async("dropped"))
        second = asyncio.create_task(work_async("second"))
        await asyncio.sleep(0.01)
        dropped.cancel()
        await asyncio.wait([dropped])
        assert begun == ["first"]
        may_go_on.set()
        await second

    run(main())
    assert begun == ["first", "second"]


def test_a_passed_executor_is_used_and_left_open(run: Run) -> None:
    with ThreadPoolExecutor(1, thread_name_prefix="mine") as executor:
        name = asyncify(lambda: threading.current_thread().name, executor=executor)

        assert run(name()) == "mine_0"
        assert executor.submit(int).result() == 0


def test_an_executor_and_a_limit_are_refused() -> None:
    with ThreadPoolExecutor(1) as executor, pytest.raises(ValueError, match="`executor` or `limit`, not both"):
        asyncify(add, executor=executor, limit=1)


def test_its_threads_end_when_the_function_is_gone(run: Run) -> None:
    def own_thread() -> threading.Thread:
        return threading.current_thread()

    function = asyncify(own_thread)
    thread = run(function())
    assert thread.is_alive()

    del function

    thread.join(20)
    assert not thread.is_alive()
