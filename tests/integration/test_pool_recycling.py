"""How workers are replaced before they die: by number, memory, age, and without a gap."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pool_events import PoolEvents
from pools import RunPool, start

from servekit.errors import SetupError
from servekit.runtime.pool import Pool
from servekit.runtime.prediction import Status

GROWS = """
    import os
    kept = []
    class Predictor:
        def predict(self, grow: int = 0) -> int:
            kept.append(b"x" * grow)
            return os.getpid()
"""


async def predict(pool: Pool, **values: Any) -> bytes:
    prediction = start(pool, **values)
    await prediction.done()
    assert prediction.status is Status.SUCCEEDED
    return prediction.output


async def test_a_worker_is_replaced_after_so_many_predictions(run_pool: RunPool) -> None:
    events = PoolEvents()
    async with run_pool(GROWS, observer=events, recycle={"max_predictions": 2}) as pool:
        first = [await predict(pool), await predict(pool)]
        await events.until(lambda: events.gone == [1])

        assert await predict(pool) not in first
    assert events.outdated[1] == "it has run 2 predictions (serve.recycle.max_predictions)"
    assert events.ready[:2] == [1, 2]


async def test_a_worker_that_is_replaced_serves_until_the_next_one_is_ready(run_pool: RunPool, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    code = f"""
        import os, pathlib, time
        class Predictor:
            def setup(self) -> None:
                while os.environ["SERVEKIT_WORKER"] != "1" and not pathlib.Path({str(gate)!r}).exists():
                    time.sleep(0.005)
            def predict(self) -> int:
                return os.getpid()
    """
    events = PoolEvents()
    async with run_pool(code, observer=events, recycle={"max_predictions": 1}) as pool:
        outputs = {await predict(pool) for _ in range(5)}
        assert len(outputs) == 1
        assert events.gone == []

        gate.touch()
        await events.until(lambda: events.gone == [1])


async def test_a_worker_that_has_grown_is_replaced(run_pool: RunPool) -> None:
    events = PoolEvents()
    async with run_pool(GROWS, observer=events, recycle={"memory_limit": "200MB"}) as pool:
        before = await predict(pool)
        await predict(pool, grow=200_000_000)
        await events.until(lambda: events.gone == [1])

        assert await predict(pool) != before
    assert "more than 200MB (serve.recycle.memory_limit)" in events.outdated[1]


async def test_the_memory_of_programs_that_a_worker_started_counts(run_pool: RunPool) -> None:
    code = """
        import subprocess, sys
        class Predictor:
            def predict(self) -> str:
                subprocess.Popen([sys.executable, "-c", "x = b'x' * 200_000_000; import time; time.sleep(600)"])
                return "started"
    """
    events = PoolEvents()
    async with run_pool(code, observer=events, recycle={"memory_limit": "200MB"}) as pool:
        await predict(pool)
        await events.until(lambda: 1 in events.outdated)


async def test_a_memory_limit_below_what_a_worker_takes_when_idle_is_an_error_that_says_so(run_pool: RunPool) -> None:
    code = """
        class Predictor:
            def setup(self) -> None:
                self.weights = b"x" * 200_000_000
            def predict(self) -> str:
                return "done"
    """
    with pytest.raises(SetupError, match=r"serve\.recycle\.memory_limit is 100MB.*raise it"):
        async with run_pool(code, recycle={"memory_limit": "100MB"}):
            pass


async def test_a_worker_is_replaced_at_an_age(run_pool: RunPool) -> None:
    events = PoolEvents()
    async with run_pool(GROWS, observer=events, recycle={"max_age": "1s"}):
        await events.until(lambda: events.gone == [1])

    assert events.outdated[1] == "it is older than 1s (serve.recycle.max_age)"


async def test_a_replacement_that_cannot_be_made_ready_leaves_the_old_worker_and_is_tried_again(
    run_pool: RunPool, tmp_path: Path
) -> None:
    code = f"""
        import os, pathlib
        class Predictor:
            def setup(self) -> None:
                if pathlib.Path({str(tmp_path / "broken")!r}).exists():
                    raise RuntimeError("the disk is gone")
            def predict(self) -> int:
                return os.getpid()
    """
    events = PoolEvents()
    async with run_pool(code, observer=events, recycle={"max_predictions": 1}) as pool:
        (tmp_path / "broken").touch()
        first = await predict(pool)
        await events.until(lambda: len(events.failures) == 1)
        assert pool.is_ready
        assert await predict(pool) == first

        (tmp_path / "broken").unlink()
        await events.until(lambda: 1 in events.gone)
        assert await predict(pool) != first


async def test_nothing_is_lost_while_workers_are_replaced_all_the_time(run_pool: RunPool) -> None:
    events = PoolEvents()
    async with run_pool(GROWS, observer=events, workers=2, recycle={"max_predictions": 5}) as pool:
        predictions = [start(pool) for _ in range(60)]
        await asyncio.gather(*(each.done() for each in predictions))

        assert {each.status for each in predictions} == {Status.SUCCEEDED}
        assert len(pool.workers) >= 2
