"""Batch jobs with real workers: what a dying one costs, what a slow row costs, and that nothing is left behind."""

import asyncio
from collections.abc import AsyncGenerator
from textwrap import dedent
from typing import Any

import psutil
import pytest
import pytest_asyncio

from servekit.errors import SetupError
from servekit.jobs import FailureKind, PoolTarget, RowResult, run_batch
from servekit.runtime.prediction import Status
from servekit.spec import Range, Spec
from servekit.spec.serve import ServeSpec
from servekit.threads import RetryPolicy

MODEL = """
    import os
    import time
    from collections.abc import Iterator
    from servekit import BasePredictor, Input, current_scope

    class Predictor(BasePredictor):
        def predict(self, n: int = Input(default=0, ge=0), act: str = "") -> Iterator[int]:
            current_scope().record_metric("tokens", n)
            match act:
                case "raise":
                    raise ValueError(f"no {n}")
                case "die":
                    os._exit(3)
                case "die once":
                    if not os.path.exists("died"):
                        open("died", "w").close()
                        os._exit(3)
                case "sleep":
                    while True:
                        time.sleep(0.001)
            yield from range(n)
"""

QUICK = RetryPolicy(1, first_pause_seconds=0.01)


pytestmark = pytest.mark.asyncio(loop_scope="module")  # the target is that of all tests, and so is its loop


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def target(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[PoolTarget]:
    folder = tmp_path_factory.mktemp("project")
    (folder / "predict.py").write_text(dedent(MODEL))
    serve = ServeSpec(concurrency=Range(2, 2))
    async with PoolTarget(Spec(predictor="predict.py:Predictor", path=folder / "servekit.yaml", serve=serve)) as target:
        yield target


async def collect(target: PoolTarget, rows: list[dict[str, Any]], **options: Any) -> list[RowResult]:
    async with asyncio.timeout(30):
        return [result async for result in run_batch(target, rows, retries=QUICK, **options)]


# These come first: they look at the processes there are, before the target of the others starts some.


async def test_leaving_a_job_cancels_what_runs_and_ends_its_workers(make_project: Any) -> None:
    spec = make_project(MODEL, cancel_grace="200ms")
    before = {child.pid for child in psutil.Process().children()}
    workers: set[int] = set()
    async with run_batch(spec, [{"n": 1}, {"act": "sleep"}, {"n": 2}]) as job:
        async for result in job:
            assert result.output == [0]
            workers = {child.pid for child in psutil.Process().children()} - before
            break

    assert len(workers) == 1
    assert not any(map(psutil.pid_exists, workers))
    assert job.tally.rows == 1


async def test_a_cancelled_consumer_leaves_nothing_behind(make_project: Any) -> None:
    spec = make_project(MODEL, cancel_grace="200ms")
    before = {child.pid for child in psutil.Process().children()}
    is_running = asyncio.Event()

    async def consume() -> None:
        async with run_batch(spec, [{"n": 1}, {"act": "sleep"}]) as job:
            async for _ in job:
                is_running.set()

    task = asyncio.create_task(consume())
    await asyncio.wait_for(is_running.wait(), 20)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 20)

    assert {child.pid for child in psutil.Process().children()} == before


async def test_a_predictor_that_cannot_be_set_up_ends_the_job_with_the_reason(make_project: Any) -> None:
    spec = make_project(
        "class Predictor:\n    def setup(self): raise OSError('no weights')\n    def predict(self): ...\n"
    )

    with pytest.raises(SetupError, match="no weights"):
        await anext(aiter(run_batch(spec, [{}])))


async def test_each_row_gets_its_own_result_or_error_in_order(target: PoolTarget) -> None:
    rows: list[dict[str, Any]] = [{"n": 2}, {"n": 3, "act": "raise"}, {"n": -1}, {"m": 1}, {"n": 1}]

    results = await collect(target, rows)

    assert [(each.number, each.output, each.kind) for each in results] == [
        (1, [0, 1], None),
        (2, None, FailureKind.MODEL),
        (3, None, FailureKind.INPUT),
        (4, None, FailureKind.INPUT),
        (5, [0], None),
    ]
    assert (results[1].error, results[2].error) == ("ValueError: no 3", "input.n: expected at least 0, got -1")
    assert "Traceback" in results[1].logs
    assert results[0].metrics["tokens"] == 2

    # The same target runs another job, and a row that is over its time costs the others nothing.
    late = await collect(target, [{"act": "sleep"}, {"n": 1}], timeout=0.3)

    assert [(each.kind, each.attempts) for each in late] == [(FailureKind.TIMEOUT, 1), (None, 1)]
    assert late[0].error == "timed out: the row may take 0.3 seconds, 1 attempt included"


async def test_above_the_memory_limit_rows_go_one_by_one(target: PoolTarget) -> None:
    job = run_batch(target, [{"n": n} for n in range(5)], memory_limit=1)
    paused: set[str | None] = set()
    async with asyncio.timeout(20), job:
        async for _ in job:
            paused.add(job.state.paused)

    assert (job.tally.succeeded, paused, job.state.running) == (5, {"memory"}, 0)


async def test_a_dying_worker_costs_only_its_rows_which_are_tried_again(target: PoolTarget) -> None:
    rows: list[dict[str, Any]] = [{"n": n} for n in range(50)]
    rows[20] = {"act": "die once"}

    results = await collect(target, rows)

    assert [each.status for each in results] == [Status.SUCCEEDED] * 50
    assert results[20].attempts == 2
    assert sum(each.attempts for each in results) <= 52


async def test_a_row_that_kills_every_worker_fails_and_says_so(target: PoolTarget) -> None:
    results = await collect(target, [{"act": "die"}, {"n": 1}], concurrency=1)

    assert [(each.kind, each.attempts) for each in results] == [(FailureKind.WORKER_DIED, 2), (None, 1)]
    assert results[0].error is not None
    assert "exited with code 3" in results[0].error
