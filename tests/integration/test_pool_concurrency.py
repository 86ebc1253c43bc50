"""The slots of real workers while their number adapts."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from pools import RunPool, start

from servekit.errors import BusyError
from servekit.runtime.pool import Pool
from servekit.runtime.prediction import Prediction, Status

both = pytest.mark.parametrize("isolation", ["process", "thread"])

# Each says how many ran when it began.
WAITS = """
    import asyncio
    class Predictor:
        running = 0
        async def predict(self, seconds: float = 0.004) -> int:
            self.running += 1
            seen = self.running
            await asyncio.sleep(seconds)
            self.running -= 1
            return seen
"""
SLEEPS = """
    import threading, time
    class Predictor:
        running = 0
        lock = threading.Lock()
        def predict(self, seconds: float = 0.004) -> int:
            with self.lock:
                self.running += 1
                seen = self.running
            time.sleep(seconds)
            with self.lock:
                self.running -= 1
            return seen
"""


async def ask(pool: Pool, enough: Callable[[], bool], **values: Any) -> list[Prediction]:
    """Ask again and again until it is enough."""
    ended: list[Prediction] = []
    while not enough():
        try:
            prediction = start(pool, **values)
        except BusyError:
            await asyncio.sleep(0)
            continue
        await prediction.done()
        ended.append(prediction)
    return ended


async def ask_by_many(pool: Pool, enough: Callable[[], bool], **values: Any) -> list[Prediction]:
    ended = await asyncio.gather(*(ask(pool, enough, **values) for _ in range(24)))
    return [prediction for each in ended for prediction in each]


@both
@pytest.mark.parametrize("code", [WAITS, SLEEPS], ids=["async", "sync"])
async def test_a_model_that_waits_gets_more_slots_but_never_more_than_the_maximum(
    run_pool: RunPool, code: str, isolation: str
) -> None:
    async with run_pool(code, isolation=isolation, concurrency={"min": 1, "max": 8}) as pool:
        assert pool.slots == 1

        predictions = await ask_by_many(pool, lambda: pool.slots == 8)
        predictions += await ask_by_many(pool, iter([*[False] * 200, *[True] * 24]).__next__)

    assert {prediction.status for prediction in predictions} == {Status.SUCCEEDED}
    assert max(int(prediction.output) for prediction in predictions) in range(5, 9)


async def test_slots_are_neither_lost_nor_doubled_when_the_limit_falls_below_what_runs(run_pool: RunPool) -> None:
    async with run_pool(WAITS, concurrency="1-8", target_latency="100ms") as pool:
        worker = pool.workers[0]
        await ask_by_many(pool, lambda: pool.slots == 8)

        overcommitted: list[int] = []

        def has_fallen() -> bool:
            if len(worker.running) > worker.slots:
                overcommitted.append(pool.free_slots)
            return pool.slots <= 4 and len(worker.running) <= worker.slots

        await ask_by_many(pool, has_fallen, seconds=0.12)
        assert pool.free_slots == pool.slots

        together = [start(pool, seconds=0.05) for _ in range(24)]
        assert pool.queue_length == 24 - pool.slots
        for prediction in together:
            await prediction.done()

    assert set(overcommitted) == {0}
    assert {prediction.status for prediction in together} == {Status.SUCCEEDED}


async def test_a_new_worker_gets_as_many_slots_as_the_others(run_pool: RunPool) -> None:
    async with run_pool(WAITS, isolation="thread", concurrency={"min": 1, "max": 8}) as pool:
        await ask_by_many(pool, lambda: pool.slots == 8)

        await pool.reload()

        assert [worker.slots for worker in pool.workers if worker.is_able] == [8]


async def test_two_workers_have_the_same_number_of_slots(run_pool: RunPool) -> None:
    async with run_pool(WAITS, isolation="thread", workers=2, concurrency={"min": 1, "max": 4}) as pool:
        await ask_by_many(pool, lambda: pool.slots == 8)

        assert [worker.slots for worker in pool.workers] == [4, 4]


async def test_refused_requests_ask_for_slots_as_waiting_ones_do(run_pool: RunPool) -> None:
    async with run_pool(WAITS, isolation="thread", concurrency={"min": 1, "max": 4}, queue={"max": 0}) as pool:
        await ask_by_many(pool, lambda: pool.slots == 4)

        assert pool.slots == 4


async def test_one_client_after_another_gets_no_further_slots(run_pool: RunPool) -> None:
    async with run_pool(WAITS, isolation="thread", concurrency={"min": 1, "max": 8}) as pool:
        await ask(pool, iter([*[False] * 100, True]).__next__, seconds=0)

        assert pool.slots == 1


async def test_predictions_that_fail_say_nothing_about_the_slots(run_pool: RunPool) -> None:
    code = """
        class Predictor:
            async def predict(self):
                raise ValueError("no")
    """
    async with run_pool(code, isolation="thread", concurrency={"min": 1, "max": 8}, tracebacks=False) as pool:
        await ask_by_many(pool, iter([*[False] * 300, *[True] * 24]).__next__)

        assert pool.slots == 1


async def test_workers_are_needed_by_the_slots_they_have_and_not_by_those_they_may_get(run_pool: RunPool) -> None:
    scaling = {"target_wait": "10ms", "idle_timeout": "80ms"}
    async with run_pool(WAITS, isolation="thread", workers="1-2", concurrency="1-8", scaling=scaling) as pool:
        busy = [start(pool, seconds=60) for _ in range(2)]
        while pool.queue_length:
            await asyncio.sleep(0.01)

        await asyncio.sleep(0.3)  # several times what an idle worker may live

        assert [worker.is_able for worker in pool.workers] == [True, True]
        for prediction in busy:
            pool.cancel(prediction, "enough")
            await prediction.done()
