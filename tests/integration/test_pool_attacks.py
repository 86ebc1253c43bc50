"""What models have done to servers, and what must not come of it."""

import asyncio
import json
from pathlib import Path

import psutil
import pytest
from pools import RunPool, begun, ended, start

from servekit.runtime.prediction import EventKind, Status

SECONDS = 30.0

both = pytest.mark.parametrize("isolation", ["process", "thread"])


@both
@pytest.mark.parametrize("act", ["print('a\\ud800b')", "raise ValueError('x\\ud800')"])
async def test_text_that_is_no_unicode_costs_nobody_an_answer(run_pool: RunPool, act: str, isolation: str) -> None:
    code = f"""
        class Predictor:
            def predict(self, strange: bool) -> str:
                if strange:
                    {act}
                return "fine"
    """
    async with run_pool(code, isolation=isolation, concurrency=4) as pool:
        predictions = [start(pool, strange=number % 2 == 0) for number in range(8)]
        for prediction in predictions:
            await ended(prediction)
            json.loads(prediction.snapshot())

    assert [p.status for p in predictions[1::2]] == [Status.SUCCEEDED] * 4


@both
async def test_metrics_that_make_no_sense_cost_only_their_own_prediction(run_pool: RunPool, isolation: str) -> None:
    code = """
        from servekit import current_scope
        class Predictor:
            def predict(self, how: str) -> str:
                record = current_scope().record_metric
                if how == "none":
                    record("m", None); record("m", 1, "increment")
                elif how == "append":
                    record("m", None); record("m", 1, "append")
                elif how == "nan":
                    record("m", float("nan"), "increment")
                elif how == "flood":
                    for number in range(100_000):
                        record("m", "x" * 100, "append")
                return "fine"
    """
    async with run_pool(code, isolation=isolation) as pool:
        results = {how: await ended(start(pool, how=how)) for how in ("none", "append", "nan", "flood", "nothing")}
        workers = list(pool.workers)

    assert results["none"].metrics["m"] == 1
    assert results["append"].metrics["m"] == [1]
    assert "finite" in str(results["nan"].error)
    assert "metrics of one prediction" in str(results["flood"].error)
    assert results["nothing"].output == b'"fine"'
    assert [worker.number for worker in workers] == [1]


async def test_many_large_items_in_one_go_arrive(run_pool: RunPool) -> None:
    code = """
        class Predictor:
            async def predict(self):
                for _ in range(9):
                    yield "x" * 10_000_000
    """
    async with run_pool(code) as pool:
        prediction = await ended(start(pool))

    assert prediction.status is Status.SUCCEEDED
    assert len(prediction.output) > 90_000_000


async def test_an_ended_prediction_does_not_change_any_more(run_pool: RunPool) -> None:
    code = """
        import asyncio
        class Predictor:
            async def predict(self, stubborn: bool):
                print("begun")
                while True:
                    try:
                        await asyncio.sleep(0.001)
                    except asyncio.CancelledError:
                        if not stubborn:
                            raise
                    yield 1
    """
    async with run_pool(code, concurrency=2, cancel_grace=0.1) as pool:
        neighbour, stubborn = start(pool, stubborn=False), start(pool, stubborn=True)
        await begun(neighbour)
        await begun(stubborn)
        pool.cancel(stubborn, "enough")
        await ended(stubborn)
        events, progress = len(stubborn.kinds), len(neighbour.kinds)
        while len(neighbour.kinds) < progress + 100:
            await neighbour.changed(len(neighbour.kinds))

        assert len(stubborn.kinds) == events
        assert stubborn.kinds[-1] == EventKind.COMPLETED
        pool.cancel(neighbour, "enough")
        await ended(neighbour)


@both
async def test_code_that_stops_the_loop_is_replaced(run_pool: RunPool, isolation: str) -> None:
    code = """
        import asyncio
        class Predictor:
            async def predict(self, stop: bool) -> str:
                if stop:
                    asyncio.get_running_loop().stop()
                    await asyncio.sleep(60)
                return "fine"
    """
    async with run_pool(code, isolation=isolation) as pool:
        stopped = await ended(start(pool, stop=True))
        while pool.workers[0].number == 1 if pool.workers else True:
            await asyncio.sleep(0.01)
        after = await ended(start(pool, stop=False))

    assert stopped.status is Status.FAILED
    assert after.output == b'"fine"'


@both
async def test_a_huge_error_is_cut(run_pool: RunPool, isolation: str) -> None:
    code = """
        class Predictor:
            def predict(self) -> str:
                raise ValueError("x" * 20_000_000)
    """
    async with run_pool(code, isolation=isolation) as pool:
        prediction = await ended(start(pool))

    assert len(prediction.snapshot()) < 500_000
    assert "characters cut" in str(prediction.error)


async def test_children_of_the_model_end_with_its_worker(run_pool: RunPool, tmp_path: Path) -> None:
    code = f"""
        import os, pathlib, subprocess
        class Predictor:
            def predict(self, die: bool) -> int:
                child = subprocess.Popen(["sleep", "600"])
                if die:
                    pathlib.Path({str(tmp_path / "pid")!r}).write_text(str(child.pid))
                    os._exit(1)
                return child.pid
    """
    async with run_pool(code) as pool:
        died = await ended(start(pool, die=True))
        left = await ended(start(pool, die=False))

    assert "exited with code 1" in str(died.error)
    pids = [int((tmp_path / "pid").read_text()), int(left.output)]
    _gone, alive = psutil.wait_procs([psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)], timeout=10)
    assert [process for process in alive if process.status() != psutil.STATUS_ZOMBIE] == []


async def test_a_hanging_healthcheck_holds_up_nothing_else(run_pool: RunPool) -> None:
    code = """
        import time
        from servekit import Path
        class Predictor:
            async def predict(self, file: Path) -> str:
                return file.read_text()
            def healthcheck(self) -> bool:
                time.sleep(600)
                return True
    """
    async with run_pool(code, healthcheck_timeout=0.1) as pool:
        complaints = [await pool.check_health(SECONDS) for _ in range(12)]
        prediction = await ended(start(pool, file="data:text/plain,hello"))

    assert all("timed out after 0.1 seconds" in str(complaint) for complaint in complaints)
    assert prediction.output == b'"hello"'


UNSPEAKABLE = {
    "a subclass whose text fails": "class Error(SyntaxError):\n def __str__(self): raise RuntimeError\nerror = Error()",
    "a code that fails": "class Code:\n def __repr__(self): raise RuntimeError\nerror = SystemExit(Code())",
    "a chain of thousands": "error = None\nfor _ in range(5000):\n e = ValueError(); e.__cause__ = error; error = e",
    "an input error of the author's own": "import servekit.errors\nerror = servekit.errors.InputError([])\n"
    "error.problems = [object()]",
    "an output error that fails": "import servekit.errors\nclass Text:\n def __str__(self): raise RuntimeError\n"
    "error = servekit.errors.OutputError(Text())",
}


@pytest.mark.parametrize("what", UNSPEAKABLE)
@pytest.mark.parametrize(
    "body", ["def predict(self):\n  raise error", "async def predict(self):\n  yield 1\n  raise error"]
)
async def test_an_exception_that_cannot_be_described_ends_its_prediction(
    run_pool: RunPool, what: str, body: str
) -> None:
    async with run_pool(f"{UNSPEAKABLE[what]}\nclass Predictor:\n {body}\n") as pool:
        prediction = await ended(start(pool))

        assert (prediction.status, pool.free_slots) == (Status.FAILED, 1)
