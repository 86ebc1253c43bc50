"""Who gets a slot, who waits and for how long, and who is turned away."""

import asyncio
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from pools import RunPool, ended, start

from servekit.errors import BusyError, CallerLimitError
from servekit.runtime.prediction import Status
from servekit.runtime.terms import Terms

# Runs until the file that its input names is there; stops when it is asked to.
GATED = """
    import asyncio
    from pathlib import Path

    class Predictor:
        order = []

        async def predict(self, gate: str = "", name: str = "") -> list:
            self.order.append(name)
            while gate and not Path(gate).exists():
                await asyncio.sleep(0.001)
            if name == "wrong":
                raise ValueError(name)
            return list(self.order)
"""


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    return tmp_path / "gate"


async def test_the_most_urgent_of_those_that_wait_goes_first(run_pool: RunPool, gate: Path) -> None:
    async with run_pool(GATED, isolation="thread", queue={"ageing": "1h"}) as pool:
        start(pool, gate=str(gate), name="first")
        waiting = [start(pool, Terms(priority), name=str(priority)) for priority in (0, -10, 10, 3, 0, 10)]
        gate.touch()
        for prediction in waiting:
            await ended(prediction)

    assert json.loads(waiting[1].output) == ["first", "10", "10", "3", "0", "0", "-10"]


async def test_a_low_priority_has_its_turn_however_many_higher_ones_keep_coming(run_pool: RunPool) -> None:
    async with run_pool(GATED, isolation="thread", queue={"ageing": 0.01}) as pool:
        start(pool)
        low = start(pool, Terms(-10), name="low")
        high = [start(pool, Terms(10)) for _ in range(3)]
        while not low.is_done:  # there are always higher ones in the queue
            await ended(high.pop(0))
            high.append(start(pool, Terms(10)))

    assert low.status is Status.SUCCEEDED


@pytest.mark.parametrize(
    ("terms", "serve", "error", "is_refused"),
    [
        (Terms(queue_timeout=0.1), {}, "no slot became free within 0.1 seconds (queue_timeout of the request)", True),
        (Terms(timeout=0.1), {}, "timed out: it took longer than 0.1 seconds (timeout of the request)", False),
        (
            Terms(timeout=9, queue_timeout=9),
            {"queue": {"timeout": 0.1}},
            "no slot became free within 0.1 seconds (serve.queue.timeout)",
            True,
        ),
        (
            Terms(timeout=9, queue_timeout=8),
            {"timeout": 0.1},
            "timed out: it took longer than 0.1 seconds (serve.timeout)",
            False,
        ),
    ],
)
async def test_one_that_waits_ends_with_the_limit_that_was_the_shortest(
    run_pool: RunPool, gate: Path, terms: Terms, serve: dict[str, Any], error: str, is_refused: bool
) -> None:
    async with run_pool(GATED, isolation="thread", cancel_grace=30, **serve) as pool:
        start(pool, gate=str(gate))
        waiting = await ended(start(pool, terms))
        length = pool.queue_length

    assert (waiting.error, waiting.is_refused, waiting.started_at, length) == (error, is_refused, None, 0)


async def test_one_that_runs_ends_with_the_request_s_own_limit(run_pool: RunPool, gate: Path) -> None:
    async with run_pool(GATED, isolation="thread") as pool:
        running = await ended(start(pool, Terms(timeout=0.1, queue_timeout=0.05), gate=str(gate)))

    assert running.status is Status.FAILED
    assert running.error == "timed out: it took longer than 0.1 seconds (timeout of the request)"


async def test_the_predictor_knows_the_deadline_that_its_request_asked_for(run_pool: RunPool) -> None:
    code = """
        from servekit import current_scope

        def predict() -> float:
            return current_scope().deadline
    """
    async with run_pool(code, predictor="predict.py:predict", isolation="thread") as pool:
        prediction = await ended(start(pool, Terms(timeout=1000)))

    assert float(prediction.output) == pytest.approx(prediction.created_at + 1000, abs=1)


async def test_one_whose_time_is_up_takes_no_slot_that_gets_free_in_the_same_turn(
    run_pool: RunPool, tmp_path: Path
) -> None:
    async with run_pool(GATED, isolation="thread") as pool:
        for number in range(40):
            gate = tmp_path / str(number)
            running = start(pool, gate=str(gate))
            waiting = start(pool, Terms(queue_timeout=0.005) if number % 2 else Terms(timeout=0.005))
            gate.touch()
            time.sleep(0.02)  # noqa: ASYNC251 - the loop stands still until both are due
            await ended(running)
            await ended(waiting)

            assert waiting.started_at is None
        assert pool.free_slots == 1


async def test_one_that_is_canceled_at_any_moment_takes_no_slot_afterwards(run_pool: RunPool) -> None:
    async with run_pool(GATED, isolation="thread", concurrency=2, queue={"max": 1000}) as pool:
        for number in range(200):
            predictions = [start(pool, Terms((each * 7) % 21 - 10)) for each in range(8)]
            for _ in range(number % 5):
                await asyncio.sleep(0)
            canceled = [each for each in predictions[number % 2 :: 2] if each.started_at is None and not each.is_done]
            for prediction in canceled:
                pool.cancel(prediction, "enough")
            for prediction in predictions:
                await ended(prediction)

            assert [each.started_at for each in canceled] == [None] * len(canceled)
        assert (pool.free_slots, pool.queue_length) == (2, 0)


async def test_only_slots_that_are_ready_shorten_the_time_to_come_back(run_pool: RunPool, gate: Path) -> None:
    code = f"""
        import asyncio, os, time
        from pathlib import Path

        class Predictor:
            def setup(self) -> None:
                while os.environ["SERVEKIT_WORKER"] == "2" and not Path({str(gate)!r}).exists():
                    time.sleep(0.01)

            async def predict(self) -> None:
                await asyncio.sleep(3600)
    """
    async with run_pool(code, workers=2, concurrency=2, queue={"max": 19}) as pool:
        while pool.free_slots < 2:
            await asyncio.sleep(0.01)
        for _ in range(21):
            start(pool)
        with pytest.raises(BusyError, match=r"19 predictions wait already \(serve.queue.max\)") as refused:
            start(pool)
        gate.touch()

    # Nothing was measured yet: a second for each of the 20, on 2 slots and not on 4.
    assert 10 <= refused.value.retry_after_seconds < 600


async def test_those_who_are_turned_away_together_are_told_different_times(run_pool: RunPool, gate: Path) -> None:
    async with run_pool(GATED, isolation="thread", queue={"max": 9}) as pool:
        for _ in range(10):
            start(pool, gate=str(gate))
        times: list[int] = []
        for _ in range(100):
            with pytest.raises(BusyError) as refused:
                start(pool)
            times.append(refused.value.retry_after_seconds)

    assert len(set(times)) > 5
    assert max(times) <= 2 * min(times) + 2  # the little time that all this takes counts as well


ENDS = ["succeeded", "failed", "canceled while running", "canceled while waiting", "too late", "too long", "died"]


@pytest.mark.parametrize("end", ENDS)
async def test_a_caller_has_room_again_after_every_kind_of_end(run_pool: RunPool, gate: Path, end: str) -> None:
    gate.touch()
    never = str(gate.with_name("never"))
    me = Terms(caller=b"me")
    isolation = "process" if end == "died" else "thread"
    async with run_pool(GATED, isolation=isolation, caller={"max": 2}) as pool:
        blocker = start(pool, gate=never if end in ("canceled while waiting", "too late") else str(gate))
        terms = {"too late": Terms(queue_timeout=0.05, caller=b"me"), "too long": Terms(timeout=0.05, caller=b"me")}
        runs_on = end in ("canceled while running", "too long", "died")
        mine = [
            start(pool, terms.get(end, me), gate=never if runs_on else "", name="wrong" * (end == "failed"))
            for _ in range(2)
        ]
        with pytest.raises(CallerLimitError, match=r"running and waiting as one may: 2 \(serve.caller.max\)") as caught:
            start(pool, me)
        start(pool, Terms(caller=b"another"))
        start(pool)
        if end.startswith("canceled"):
            while end == "canceled while running" and mine[0].started_at is None:
                await mine[0].changed(0)
            for prediction in mine:
                pool.cancel(prediction, "enough")
        if end == "died":
            while mine[0].started_at is None:
                await mine[0].changed(0)
            pool.cancel(mine[1], "enough")
            assert pool.workers[0].pid is not None
            os.kill(pool.workers[0].pid, signal.SIGKILL)
        for prediction in mine:
            await ended(prediction)

        assert caught.value.retry_after_seconds >= 1
        again = [start(pool, me), start(pool, me)]
        with pytest.raises(CallerLimitError):
            start(pool, me)
        pool.cancel(blocker, "enough")
        for prediction in again:
            await ended(prediction)


async def test_a_caller_that_is_refused_for_another_reason_has_taken_nothing(run_pool: RunPool, gate: Path) -> None:
    async with run_pool(GATED, isolation="thread", caller={"max": 1}, queue={"max": 0}) as pool:
        blocker = start(pool, gate=str(gate))
        for _ in range(3):
            with pytest.raises(BusyError, match="all slots are busy"):
                start(pool, Terms(caller=b"me"))
        gate.touch()
        await ended(blocker)

        assert (await ended(start(pool, Terms(caller=b"me")))).status is Status.SUCCEEDED


async def test_those_that_wait_are_out_of_the_queue_when_the_pool_closes(run_pool: RunPool, gate: Path) -> None:
    async with run_pool(GATED, isolation="thread", caller={"max": 9}) as pool:
        predictions = [start(pool, Terms(caller=b"me"), gate=str(gate)) for _ in range(5)]
        await pool.close()

        assert pool.queue_length == 0
    assert {prediction.status for prediction in predictions} == {Status.CANCELED}
