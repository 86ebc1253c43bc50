"""What a job can be given to run, and predictors that run in the process of the job."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path as LocalPath
from typing import Any

import pytest

from servekit import BasePredictor, Batch, Input, Path
from servekit.errors import SpecError, UsageError
from servekit.jobs import FailureKind, Outcome, PoolTarget, Row, RowResult, run_batch
from servekit.jobs.opening import choose_target
from servekit.jobs.target import CoroutineTarget
from servekit.runtime.prediction import Status


class Doubles(BasePredictor):
    def __init__(self) -> None:
        self.threads: set[int] = set()
        self.inside = 0

    def predict(self, n: int = Input(default=1, ge=0)) -> int:
        self.inside += 1
        assert self.inside == 1
        self.threads.add(threading.get_ident())
        if n == 13:
            raise ValueError("unlucky")
        self.inside -= 1
        return 2 * n


class Counts:
    async def predict(self, n: int) -> AsyncIterator[int]:
        for number in range(n):
            yield number


class Awaits:
    async def predict(self, n: int) -> int:
        await asyncio.sleep(0)
        return n


class Letters:
    def predict(self, text: str) -> Iterator[str]:
        yield from text


class Reads:
    def predict(self, file: Path) -> str:
        return file.read_text()


class Batched:
    def predict(self, n: Batch[int]) -> Batch[int]:
        return n


async def collect(target: Any, rows: list[Any], **options: Any) -> list[RowResult]:
    async with asyncio.timeout(20):
        return [result async for result in run_batch(target, rows, **options)]


async def test_an_instance_runs_its_rows_one_by_one_in_a_thread() -> None:
    predictor = Doubles()
    results = await collect(predictor, [{"n": n} for n in range(10)])

    assert [each.output for each in results] == [2 * n for n in range(10)]
    assert threading.get_ident() not in predictor.threads


async def test_inputs_of_an_instance_are_checked_and_its_errors_are_those_of_the_row() -> None:
    results = await collect(Doubles(), [{"n": -1}, {}, {"n": 13}])

    assert [(each.kind, each.output) for each in results] == [
        (FailureKind.INPUT, None),
        (None, 2),
        (FailureKind.MODEL, None),
    ]
    assert (results[0].error, results[2].error) == ("input.n: expected at least 0, got -1", "ValueError: unlucky")


@pytest.mark.parametrize(
    ("predictor", "inputs", "output"),
    [
        (Counts(), {"n": 3}, [0, 1, 2]),
        (Awaits(), {"n": 3}, 3),
        (Letters(), {"text": "ab"}, ["a", "b"]),
    ],
)
async def test_predictors_of_every_kind_run_in_this_process(predictor: Any, inputs: Any, output: Any) -> None:
    results = await collect(predictor, [inputs] * 3)

    assert [each.output for each in results] == [output] * 3


async def test_a_file_of_a_row_is_there_while_it_runs(tmp_path: LocalPath) -> None:
    (tmp_path / "a.txt").write_text("hello")

    assert [each.output for each in await collect(Reads(), [{"file": tmp_path / "a.txt"}])] == ["hello"]


async def test_a_row_that_takes_too_long_ends_and_the_others_go_on() -> None:
    class Waits:
        async def predict(self, seconds: float) -> str:
            await asyncio.sleep(seconds)
            return "done"

    results = await collect(Waits(), [{"seconds": 60}, {"seconds": 0}], timeout=0.05)

    assert [(each.kind, each.output) for each in results] == [(FailureKind.TIMEOUT, None), (None, "done")]


def test_an_instance_that_takes_batches_is_told_where_those_are_gathered() -> None:
    with pytest.raises(UsageError, match="takes batches, which workers gather; give its class"):
        run_batch(Batched(), [])


async def test_a_class_runs_in_workers_by_its_file() -> None:
    target = choose_target(Doubles)
    assert isinstance(target, PoolTarget)

    assert target.spec.predictor == "test_jobs_instances.py:Doubles"
    assert target.spec.path.parent == LocalPath(__file__).parent


def test_a_class_that_no_file_defines_is_refused() -> None:
    class Inner(Doubles):
        pass

    with pytest.raises(UsageError, match="cannot be imported by a worker process; define it at the top level"):
        run_batch(Inner, [])


def test_a_folder_without_a_spec_is_refused(tmp_path: LocalPath) -> None:
    with pytest.raises(SpecError, match=r"There is no servekit\.yaml"):
        run_batch(tmp_path, [])


def test_what_cannot_run_rows_is_refused() -> None:
    target: Any = 5
    with pytest.raises(UsageError, match="5 cannot run rows; give the folder of a project"):
        run_batch(target, [])


# ---------------------------------------------------------------------- targets made of coroutines


class Scripted(CoroutineTarget):
    """Runs what the test gives."""

    def __init__(self, body: Callable[[Row], Any]) -> None:
        super().__init__()
        self._body = body

    async def run(self, row: Row) -> Outcome:
        outcome: Outcome = await self._body(row)
        return outcome


async def ends(target: CoroutineTarget, *, cancels: bool = False, timeout: float | None = None) -> Outcome:
    ended: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
    cancel = target.start(Row(1), timeout, ended.set_result)
    if cancels:
        cancel()
    return await asyncio.wait_for(ended, 10)


async def test_what_a_coroutine_raises_is_a_failure_of_the_row() -> None:
    async def body(row: Row) -> Outcome:
        raise ValueError(f"row {row.number}")

    assert await ends(Scripted(body)) == Outcome.failure(FailureKind.MODEL, "ValueError: row 1")


async def test_a_timeout_of_the_coroutine_s_own_is_none_of_the_row() -> None:
    async def body(_: Row) -> Outcome:
        raise TimeoutError("the database")

    assert (await ends(Scripted(body), timeout=60)).kind is FailureKind.MODEL


async def test_a_coroutine_that_is_cancelled_before_it_begins_is_told_all_the_same() -> None:
    async def body(_: Row) -> Outcome:
        raise AssertionError("it was cancelled")

    assert (await ends(Scripted(body), cancels=True)).status is Status.CANCELED


async def test_closing_a_target_cancels_its_coroutines_and_waits_for_them() -> None:
    is_closed = False

    async def body(_: Row) -> Outcome:
        nonlocal is_closed
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)
            is_closed = True
        raise AssertionError

    async with Scripted(body) as target:
        target.start(Row(1), None, lambda _: None)
        await asyncio.sleep(0)

    assert is_closed
