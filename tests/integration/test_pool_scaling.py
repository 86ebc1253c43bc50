"""How the number of workers follows what is asked of them, and which GPU each gets."""

import asyncio
import json
from pathlib import Path

import pytest
from pool_events import PoolEvents
from pools import RunPool, start

from servekit.runtime.prediction import Status

WAITS = """
    import pathlib, time
    class Predictor:
        def predict(self, gate: str) -> str:
            while not pathlib.Path(gate).exists():
                time.sleep(0.005)
            return "done"
"""
TELLS = """
    import os
    NAMES = ("CUDA_VISIBLE_DEVICES", "SERVEKIT_DEVICE", "OMP_NUM_THREADS")
    class Predictor:
        def predict(self) -> dict[str, str | None]:
            return {name: os.environ.get(name) for name in NAMES}
"""


async def test_workers_are_started_while_predictions_wait_and_stopped_when_they_are_not_needed(
    run_pool: RunPool, tmp_path: Path
) -> None:
    events, gate = PoolEvents(), tmp_path / "gate"
    scaling = {"target_wait": "10ms", "idle_timeout": "300ms"}
    async with run_pool(WAITS, observer=events, workers={"min": 1, "max": 3}, scaling=scaling) as pool:
        predictions = [start(pool, gate=str(gate)) for _ in range(5)]
        await events.until(lambda: len(events.ready) == 3)
        assert pool.queue_length == 2

        gate.touch()
        await asyncio.gather(*(each.done() for each in predictions))
        await events.until(lambda: len(events.gone) == 2)

        assert {each.status for each in predictions} == {Status.SUCCEEDED}
        assert len(pool.workers) == 1
        assert len(events.ready) == 3


async def test_no_more_workers_are_started_than_there_may_be(run_pool: RunPool, tmp_path: Path) -> None:
    events, gate = PoolEvents(), tmp_path / "gate"
    scaling = {"target_wait": "1ms"}
    async with run_pool(WAITS, observer=events, workers={"min": 1, "max": 2}, scaling=scaling) as pool:
        predictions = [start(pool, gate=str(gate)) for _ in range(20)]
        await events.until(lambda: len(events.ready) == 2)
        gate.touch()
        await asyncio.gather(*(each.done() for each in predictions))

        assert events.ready == [1, 2]


async def test_a_worker_that_is_being_started_for_one_prediction_is_not_started_twice(
    run_pool: RunPool, tmp_path: Path
) -> None:
    events, gate = PoolEvents(), tmp_path / "gate"
    scaling = {"target_wait": "1ms"}
    async with run_pool(WAITS, observer=events, workers={"min": 1, "max": 9}, scaling=scaling) as pool:
        predictions = [start(pool, gate=str(gate)) for _ in range(2)]
        await events.until(lambda: len(events.ready) == 2)
        gate.touch()
        await asyncio.gather(*(each.done() for each in predictions))

        assert [worker.number for worker in pool.workers] == [1, 2]


async def test_with_a_minimum_of_none_the_next_prediction_wakes_a_worker(run_pool: RunPool, tmp_path: Path) -> None:
    events = PoolEvents()
    (tmp_path / "gate").touch()
    scaling = {"idle_timeout": "100ms"}
    async with run_pool(WAITS, observer=events, workers={"min": 0, "max": 1}, scaling=scaling) as pool:
        await events.until(lambda: events.gone == [1])
        assert pool.workers == []
        assert pool.is_ready

        prediction = start(pool, gate=str(tmp_path / "gate"))
        await prediction.done()

        assert prediction.status is Status.SUCCEEDED
        assert events.ready == [1, 2]


async def test_a_prediction_that_wakes_a_broken_model_is_refused_with_the_reason(
    run_pool: RunPool, tmp_path: Path
) -> None:
    events = PoolEvents()
    code = f"""
        import pathlib
        class Predictor:
            def setup(self) -> None:
                if pathlib.Path({str(tmp_path / "broken")!r}).exists():
                    raise RuntimeError("the disk is gone")
            def predict(self) -> str:
                return "done"
    """
    async with run_pool(code, observer=events, workers={"min": 0, "max": 1}, scaling={"idle_timeout": "100ms"}) as pool:
        await events.until(lambda: events.gone == [1])
        (tmp_path / "broken").touch()
        prediction = start(pool)
        await prediction.done()

        assert prediction.is_refused
        assert "the disk is gone" in str(prediction.error)
        assert not pool.is_ready

        (tmp_path / "broken").unlink()
        await events.until(lambda: len(events.ready) == 2)
        last = start(pool)
        await last.done()
        assert last.status is Status.SUCCEEDED


async def test_each_worker_sees_its_own_gpu(run_pool: RunPool) -> None:
    events = PoolEvents()
    async with run_pool(TELLS, observer=events, workers=2, devices=("0", "GPU-1")) as pool:
        await events.until(lambda: len(events.ready) == 2)
        predictions = [start(pool) for _ in range(2)]
        await asyncio.gather(*(each.done() for each in predictions))

    told = [json.loads(each.output) for each in predictions]
    assert sorted(each["CUDA_VISIBLE_DEVICES"] for each in told) == ["0", "GPU-1"]
    assert all(each["SERVEKIT_DEVICE"] == each["CUDA_VISIBLE_DEVICES"] for each in told)


async def test_a_replacement_takes_the_gpu_of_the_one_that_died(run_pool: RunPool) -> None:
    events = PoolEvents()
    async with run_pool(TELLS, observer=events, workers=2, devices=("0", "1")) as pool:
        await events.until(lambda: len(events.ready) == 2)
        dying = pool.workers[0]
        its = dying.devices
        dying.kill()
        await events.until(lambda: len(events.ready) == 3)

        assert pool.workers[-1].devices == its


@pytest.mark.parametrize("workers", [1, 2])
async def test_workers_share_the_cores_for_numeric_threads(
    run_pool: RunPool, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    async with run_pool(TELLS, workers=workers) as pool:
        prediction = start(pool)
        await prediction.done()

    assert (json.loads(prediction.output)["OMP_NUM_THREADS"] is None) == (workers == 1)
