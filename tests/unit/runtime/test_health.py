"""Asking workers whether they are well, without waiting for them."""

import asyncio
from collections.abc import AsyncGenerator, Callable

import msgspec
import pytest
from fake_worker import LOADED, FakeWorker

from servekit.runtime.pool import Pool
from servekit.runtime.protocol import Health, Ready
from servekit.spec import Spec

AT_ONCE = 0.0
LONG = 30.0


@pytest.fixture
async def pool(make_project: Callable[..., Spec], monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Pool]:
    """A pool with one worker, which is played."""
    monkeypatch.setattr("servekit.runtime.worker_factory.ProcessHandle", FakeWorker)
    FakeWorker.all.clear()
    pool = Pool(make_project("", healthcheck_timeout=3600), python="")
    await pool.start()
    pool.set_up()
    get_ready(FakeWorker.all[0])
    yield pool
    for worker in FakeWorker.all:
        worker.die("the test is over")
    await pool.close(0)


def get_ready(worker: FakeWorker) -> None:
    worker.say(msgspec.structs.replace(LOADED, has_healthcheck=True), Ready())


async def ask(worker: FakeWorker, pool: Pool) -> "asyncio.Task[str | None]":
    """Begin to wait for an answer, which is the worker's turn to give."""
    asking = asyncio.create_task(pool.check_health(LONG))
    before = len(worker.checks)
    while len(worker.checks) == before:
        await asyncio.sleep(0)
    return asking


async def test_a_quick_check_is_waited_for(pool: Pool) -> None:
    [worker] = FakeWorker.all
    asking = await ask(worker, pool)

    worker.say(Health(worker.checks[-1], "sick"))

    assert await asking == "sick"


async def test_a_slow_check_is_not_waited_for_and_there_is_one_at_a_time(pool: Pool) -> None:
    [worker] = FakeWorker.all

    answers = [await pool.check_health(AT_ONCE) for _ in range(5)]

    assert answers == [None] * 5
    assert len(worker.checks) == 1


async def test_until_a_check_has_ended_the_last_one_counts(pool: Pool) -> None:
    [worker] = FakeWorker.all
    first = await ask(worker, pool)
    worker.say(Health(worker.checks[-1], "sick"))
    await first
    second = await ask(worker, pool)

    meanwhile = await pool.check_health(AT_ONCE)
    worker.say(Health(worker.checks[-1], None))

    assert meanwhile == "sick"
    assert await second is None


async def test_a_check_goes_on_when_who_asked_has_gone(pool: Pool) -> None:
    [worker] = FakeWorker.all
    asking = await ask(worker, pool)
    asking.cancel()
    other = asyncio.create_task(pool.check_health(LONG))
    await asyncio.sleep(0)

    worker.say(Health(worker.checks[-1], "sick"))

    assert await other == "sick"
    assert len(worker.checks) == 1


async def test_the_death_of_a_worker_ends_its_check(pool: Pool) -> None:
    [worker] = FakeWorker.all
    asking = await ask(worker, pool)

    worker.die("it was killed")

    assert await asking == "worker 1 is gone: it was killed"
