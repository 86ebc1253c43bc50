"""What settings promise to threads, tasks and generators, point by point.

The points are: 1 one mapping for the process, 2 overlays of the named keys, 3 carried into what servekit runs,
4 not into what it does not run, 5 no leak from generators. That they travel to worker processes (7) is tested in
tests/integration/test_pool_settings.py and test_pool_configured.py.
"""

import asyncio
import subprocess
import sys
import threading
import warnings
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context, copy_context
from typing import Any

import pytest

import servekit
from servekit import SettingsError, configure, context, settings
from servekit.configuration.process import PROCESS
from servekit.scope import Scope, enter_scope

THREADS = pytest.mark.parametrize("threads", [1, 8, 64])
_SECONDS = 30


@pytest.fixture(autouse=True)
def _tuning() -> None:
    class Tuning(servekit.Settings):
        temperature: float = 0.7
        device: str = "cpu"

    del Tuning


def in_threads(count: int, work: Callable[[int], Any]) -> list[Any]:
    """Run the same in so many threads that are all there at once."""
    gate = threading.Barrier(count)

    def run(number: int) -> Any:
        gate.wait(_SECONDS)
        return work(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def read_temperature(_: object) -> float:
    return float(settings.temperature)


class Silent:
    """A sink that drops everything."""

    def log(self, source: str, text: str) -> None:
        """Drop it."""

    def metric(self, name: str, value: Any, mode: Any, *, is_nested: bool = False) -> None:
        """Drop it."""


# ---------------------------------------------------------------------- 1 one mapping for the process


@THREADS
def test_1_what_is_configured_is_seen_by_every_thread_at_once(threads: int) -> None:
    reading, configured = threading.Barrier(threads + 1), threading.Event()

    def look(_: int) -> tuple[float, float]:
        before = settings.temperature
        reading.wait(_SECONDS)
        configured.wait(_SECONDS)
        return before, settings.temperature

    with ThreadPoolExecutor(threads) as pool:
        looks = [pool.submit(look, number) for number in range(threads)]
        reading.wait(_SECONDS)
        configure(temperature=0.1)
        configured.set()

    assert {each.result() for each in looks} == {(0.7, 0.1)}


def test_1_the_mapping_is_replaced_and_never_changed() -> None:
    before = PROCESS.values

    configure(temperature=0.1)

    assert (before["temperature"], PROCESS.values["temperature"]) == (0.7, 0.1)


def test_1_values_are_configured_together_or_not_at_all() -> None:
    with pytest.raises(SettingsError):
        configure(device="gpu", temperature="hot")

    assert settings.device == "cpu"


@THREADS
def test_1_no_thread_loses_what_another_configures(threads: int) -> None:
    names = [f"number_{each}" for each in range(threads)]
    with servekit.isolated_settings():
        type("Many", (servekit.Settings,), {"__annotations__": dict.fromkeys(names, int)})

        in_threads(threads, lambda number: configure(**{names[number]: number}))

        assert [PROCESS.values[name] for name in names] == list(range(threads))


def test_1_an_unknown_name_is_refused_with_the_one_that_was_meant() -> None:
    with pytest.raises(SettingsError, match=r'Tuning has no setting temprature: .*did you mean "temperature"'):
        configure(temprature=0.1)


def test_1_a_prediction_may_not_configure_and_is_told_of_context() -> None:
    def predict() -> None:
        enter_scope(Scope("p1", sink=Silent(), directory="/nowhere"), Silent())
        configure(temperature=0.1)

    with pytest.raises(SettingsError, match=r"in the prediction p1.*with servekit\.context\(temperature=\.\.\.\)"):
        Context().run(predict)


def test_1_any_task_may_configure_also_after_the_loop_of_another_has_ended() -> None:
    async def set_to(value: float) -> None:
        configure(temperature=value)

    asyncio.run(set_to(0.1))
    asyncio.run(set_to(0.2))

    assert settings.temperature == 0.2


def test_1_a_second_thread_that_changes_a_value_is_warned_of_once() -> None:
    configure(temperature=0.1)

    with warnings.catch_warnings(record=True) as caught, ThreadPoolExecutor(1) as pool:
        warnings.simplefilter("always")
        pool.submit(configure, temperature=0.2).result()
        pool.submit(configure, device="gpu").result()
        configure(device="tpu")

    assert [str(each.message)[:35] for each in caught] == ["configure() changed temperature, wh"]


# ---------------------------------------------------------------------- 2 overlays of the named keys


@THREADS
def test_2_what_an_overlay_does_not_name_stays_live(threads: int) -> None:
    inside, configured = threading.Barrier(threads + 1), threading.Event()

    def look(number: int) -> tuple[float, str]:
        with context(temperature=number):
            inside.wait(_SECONDS)
            configured.wait(_SECONDS)
            return settings.temperature, settings.device

    with ThreadPoolExecutor(threads) as pool:
        looks = [pool.submit(look, number) for number in range(threads)]
        inside.wait(_SECONDS)
        configure(device="gpu", temperature=99.0)
        configured.set()

    assert [each.result() for each in looks] == [(float(number), "gpu") for number in range(threads)]


def test_2_overlays_lie_on_each_other_and_go_one_by_one() -> None:
    with context(temperature=1, device="a"):
        with context(temperature=2):
            inner = (settings.temperature, settings.device)
        outer = (settings.temperature, settings.device)

    assert (inner, outer, settings.temperature) == ((2, "a"), (1, "a"), 0.7)


def test_2_an_overlay_goes_when_the_block_raises() -> None:
    with pytest.raises(ZeroDivisionError), context(temperature=1):
        raise ZeroDivisionError

    assert settings.temperature == 0.7


@pytest.mark.parametrize("tasks", [1, 8, 64])
async def test_2_tasks_of_one_loop_see_each_its_own_overlay(tasks: int) -> None:
    gate = asyncio.Barrier(tasks)

    async def look(number: int) -> float:
        with context(temperature=number):
            await gate.wait()
            await asyncio.sleep(0)
            return float(settings.temperature)

    assert await asyncio.gather(*map(look, range(tasks))) == [float(number) for number in range(tasks)]


# ---------------------------------------------------------------------- 3 carried into what servekit runs


def by_executor() -> float:
    with servekit.ContextThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: float(settings.temperature)).result()


def by_propagate() -> float:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(servekit.propagate(lambda: float(settings.temperature))).result()


def by_parallel() -> float:
    return float(servekit.parallel(lambda _: settings.temperature, [0], max_concurrency=2)[0])


def by_asyncify() -> float:
    look: Callable[[], float] = lambda: settings.temperature  # noqa: E731 - to be asyncified as it is

    async def run() -> float:
        return await servekit.asyncify(look)()

    return asyncio.run(run())


def by_generator() -> float:
    @servekit.async_generator_from_thread
    def look() -> Iterator[float]:
        yield settings.temperature

    async def run() -> float:
        return await anext(look())

    return asyncio.run(run())


def by_to_thread() -> float:
    async def run() -> float:
        return await asyncio.to_thread(lambda: float(settings.temperature))

    return asyncio.run(run())


@pytest.mark.parametrize("carry", [by_executor, by_propagate, by_parallel, by_asyncify, by_generator, by_to_thread])
def test_3_an_overlay_is_carried_into_what_servekit_runs(carry: Callable[[], float]) -> None:
    def look(number: int) -> float:
        with context(temperature=number):
            return carry()

    assert in_threads(4, look) == [0.0, 1.0, 2.0, 3.0]


@THREADS
def test_3_what_a_job_overlays_is_not_there_for_the_next_in_its_thread(threads: int) -> None:
    def leave_behind(_: int) -> None:
        context(temperature=9).__enter__()  # left open by mistake: it goes with the job's Context

    with servekit.ContextThreadPoolExecutor(threads) as pool:
        list(pool.map(leave_behind, range(threads)))
        seen = set(pool.map(read_temperature, range(threads * 2)))

    assert seen == {0.7}


# ---------------------------------------------------------------------- 4 not into what it does not run


@THREADS
def test_4_threads_of_the_users_own_see_what_is_configured(threads: int) -> None:
    configure(temperature=0.3)
    with ThreadPoolExecutor(threads) as pool:
        gate = threading.Barrier(threads)
        list(pool.map(gate.wait, [_SECONDS] * threads))  # its threads are there before the overlay is

        with context(temperature=9):
            seen = set(pool.map(read_temperature, range(threads)))

    assert seen == {0.3}


@pytest.mark.skipif(sys.version_info < (3, 14), reason="threads inherit no Context before Python 3.14")
def test_4_pool_threads_keep_no_overlay_where_threads_inherit_their_context() -> None:
    code = """
import servekit
class Tuning(servekit.Settings):
    temperature: float = 0.7
with servekit.ContextThreadPoolExecutor(1) as pool:
    with servekit.context(temperature=9):
        pool.submit(int).result()
    print(pool.submit(lambda: servekit.settings.temperature).result())
"""
    command = [sys.executable, "-X", "thread_inherit_context=1", "-c", code]

    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "0.7\n"


# ---------------------------------------------------------------------- 5 no leak from generators


async def test_5_a_generator_in_a_thread_keeps_its_overlay_from_its_consumer() -> None:
    @servekit.async_generator_from_thread
    def steps() -> Generator[float]:
        with context(temperature=1):
            yield settings.temperature
            yield settings.temperature

    seen = [(item, settings.temperature) async for item in steps()]

    assert seen == [(1.0, 0.7), (1.0, 0.7)]


async def test_5_an_async_generator_stepped_in_its_own_context_keeps_its_overlay() -> None:
    async def steps() -> AsyncGenerator[float]:
        with context(temperature=1):
            yield settings.temperature
            yield settings.temperature

    async def consume() -> list[float]:
        return [item async for item in steps()]

    own = copy_context()
    seen = await asyncio.get_running_loop().create_task(consume(), context=own)

    assert (seen, own.run(lambda: settings.temperature), settings.temperature) == ([1.0, 1.0], 0.7, 0.7)


def test_5_a_generator_that_ends_after_its_consumers_overlay_does_not_bring_it_back() -> None:
    def steps() -> Generator[float]:
        with context(device="generator"):
            yield settings.temperature

    with context(temperature=1):
        generator = steps()
        next(generator)
    generator.close()

    assert (settings.temperature, settings.device) == (0.7, "cpu")


def test_5_a_generator_may_be_closed_in_another_context_than_it_was_stepped_in() -> None:
    def steps() -> Generator[float]:
        with context(temperature=1):
            yield settings.temperature

    generator = steps()
    Context().run(next, generator)

    Context().run(generator.close)

    assert settings.temperature == 0.7


async def test_5_a_cancelled_task_takes_its_overlay_along() -> None:
    began = asyncio.Event()

    async def wait() -> None:
        with context(temperature=1):
            began.set()
            await asyncio.Event().wait()

    own = copy_context()
    task = asyncio.get_running_loop().create_task(wait(), context=own)
    await began.wait()
    task.cancel()
    await asyncio.wait([task])

    assert own.run(lambda: settings.temperature) == 0.7
