import asyncio
import functools
import os
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar, copy_context
from pathlib import Path
from typing import Any, Protocol

import pytest

from servekit.threads import (
    ContextThreadPoolExecutor,
    aparallel,
    async_generator_from_thread,
    asyncify,
    parallel,
    propagate,
)

tenant: ContextVar[str] = ContextVar("tenant", default="nobody")


class Run(Protocol):
    def __call__(self, main: Any, /) -> Any: ...


def in_thread(fn: Callable[[], object]) -> None:
    thread = threading.Thread(target=fn)
    thread.start()
    thread.join()


def as_tenant(name: str, fn: Callable[[], Any]) -> Any:
    """Call `fn` in a Context in which `tenant` is set, as a request would."""
    context = copy_context()
    context.run(tenant.set, name)
    return context.run(fn)


# ---------------------------------------------------------------------- propagate


def test_a_propagated_function_sees_the_context_of_the_propagate_call() -> None:
    seen: list[str] = []
    carried = as_tenant("a", lambda: propagate(lambda: seen.append(tenant.get())))

    in_thread(carried)
    as_tenant("b", carried)

    assert seen == ["a", "a"]


def test_a_propagated_function_keeps_its_signature_and_result() -> None:
    def add(left: int, *, right: int) -> int:
        """Sum."""
        return left + right

    carried = propagate(add)

    assert carried(1, right=2) == 3
    assert carried.__doc__ == "Sum."


def test_calls_of_a_propagated_function_run_at_once_and_apart(count: int) -> None:
    barrier = threading.Barrier(count, timeout=30)

    def work(number: int) -> tuple[str, str]:
        before = tenant.get()
        tenant.set(f"{before}-{number}")
        barrier.wait()
        return before, tenant.get()

    carried = as_tenant("a", lambda: propagate(work))
    with ThreadPoolExecutor(count) as executor:
        results = list(executor.map(carried, range(count)))

    assert results == [("a", f"a-{number}") for number in range(count)]


async def coroutine_function() -> None: ...


def generator_function() -> Iterator[int]:
    yield 1


async def async_generator_function() -> AsyncGenerator[int, None]:
    yield 1


class AsyncCallable:
    async def __call__(self) -> None: ...


@pytest.mark.parametrize("wrap", [propagate, asyncify])
@pytest.mark.parametrize(
    "fn",
    [
        coroutine_function,
        generator_function,
        async_generator_function,
        AsyncCallable(),
        functools.partial(coroutine_function),
    ],
)
def test_a_function_whose_body_runs_later_is_refused(wrap: Callable[[Any], Any], fn: Any) -> None:
    with pytest.raises(TypeError, match=rf"{wrap.__name__}\(\) takes a plain function"):
        wrap(fn)


# ---------------------------------------------------------------------- ContextThreadPoolExecutor


def test_each_job_sees_its_own_submitters_context(count: int) -> None:
    with ContextThreadPoolExecutor(count) as executor:
        jobs = [as_tenant(str(number), lambda: executor.submit(tenant.get)) for number in range(200)]

        assert [job.result() for job in jobs] == [str(number) for number in range(200)]


def test_map_carries_the_context_too(count: int) -> None:
    def see(number: int) -> str:
        return f"{tenant.get()}{number}"

    with ContextThreadPoolExecutor(count) as executor:
        seen = as_tenant("a", lambda: list(executor.map(see, range(100))))

    assert seen == [f"a{number}" for number in range(100)]


def test_a_job_changes_neither_the_submitter_nor_the_next_job() -> None:
    def change() -> str:
        before = tenant.get()
        tenant.set("changed")
        return before

    with ContextThreadPoolExecutor(1) as executor:
        assert [executor.submit(change).result() for _ in range(3)] == ["nobody"] * 3
    assert tenant.get() == "nobody"


def test_jobs_submitted_from_one_context_run_at_once(count: int) -> None:
    barrier = threading.Barrier(count, timeout=30)
    with ContextThreadPoolExecutor(count) as executor:
        for job in [executor.submit(barrier.wait) for _ in range(count)]:
            job.result()


def test_submit_passes_arguments_and_errors_on() -> None:
    with ContextThreadPoolExecutor(1) as executor:
        assert executor.submit(int, "12", base=3).result() == 5
        with pytest.raises(ValueError, match="invalid literal"):
            executor.submit(int, "x").result()


# ---------------------------------------------------------------------- where threads are born


@pytest.fixture
def births(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What was in the Context under which each thread was started: what it would inherit where threads do that."""
    seen: list[list[str]] = []
    start = threading.Thread.start

    def record(thread: threading.Thread) -> None:
        seen.append([variable.name for variable in copy_context()])
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", record)
    return seen


def start_by_executor() -> None:
    with ContextThreadPoolExecutor(2) as executor:
        executor.submit(int).result()


def start_by_parallel() -> None:
    parallel(int, [1, 2])


def start_by_aparallel() -> None:
    async def main() -> None:
        assert [result async for result in aparallel(int, [1, 2])] == [1, 2]

    asyncio.run(main())


def start_by_asyncify() -> None:
    asyncio.run(asyncify(int)())


def start_by_asyncify_on_an_executor() -> None:
    with ThreadPoolExecutor(1) as executor:
        asyncio.run(asyncify(int, executor=executor)())


def start_by_generator() -> None:
    async def main() -> None:
        async for _ in async_generator_from_thread(generator_function)():
            pass

    asyncio.run(main())


def start_by_generator_on_an_executor() -> None:
    async def main() -> None:
        with ThreadPoolExecutor(1) as executor:
            async for _ in async_generator_from_thread(executor)(generator_function)():
                pass

    asyncio.run(main())


@pytest.mark.parametrize(
    "begin",
    [
        start_by_executor,
        start_by_parallel,
        start_by_aparallel,
        start_by_asyncify,
        start_by_asyncify_on_an_executor,
        start_by_generator,
        start_by_generator_on_an_executor,
    ],
)
def test_every_thread_is_started_under_an_empty_context(begin: Callable[[], None], births: list[list[str]]) -> None:
    as_tenant("first request", begin)

    assert births
    assert all(names == [] for names in births)


def test_a_pool_thread_has_no_tenant_of_its_own() -> None:
    seen: list[str] = []
    with ContextThreadPoolExecutor(1) as executor:
        as_tenant("first request", lambda: executor.submit(int).result())
        # What runs outside of any job's Context: a callback, in the pool's thread.
        gate = threading.Event()
        job = executor.submit(gate.wait, 30)
        job.add_done_callback(lambda _: seen.append(tenant.get()))
        gate.set()

    assert seen == ["nobody"]


@pytest.mark.skipif(
    sys.version_info < (3, 14), reason="threads can inherit their creator's Context from Python 3.14 on"
)
@pytest.mark.skipif("SERVEKIT_TEST_INHERIT" in os.environ, reason="this is the inner run")
def test_all_of_this_holds_where_threads_inherit_their_creators_context() -> None:
    tests = Path(__file__).parent
    command = [sys.executable, "-X", "thread_inherit_context=1", "-m", "pytest", "-q", str(tests)]

    done = subprocess.run(
        command,
        env={**os.environ, "SERVEKIT_TEST_INHERIT": "1"},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
