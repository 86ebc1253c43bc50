"""Batches that fail: only those that are to blame do, each with its own error."""

import asyncio
import json
from pathlib import Path

import pytest
from batches import HOLD, arrival, gather, output_of
from pool_events import PoolEvents
from pools import RunPool, begun, ended, start

from servekit.runtime.prediction import Prediction, Status
from servekit.runtime.terms import Terms

FUSSY = (
    HOLD
    + """
    calls = []
    class Predictor:
        @batch(max_size=8)
        def predict(self, text: Batch[str]) -> Batch[str]:
            hold(text)
            calls.append(list(text))
            for each in text:
                if each.startswith("bad"):
                    raise ValueError(f"{each} cannot be read")
                if each == "calls":
                    return [str(calls)]
            return [each.upper() for each in text]
"""
)


def shown(made: list[Prediction]) -> list[object]:
    return [output_of(each) if each.status is Status.SUCCEEDED else each.error for each in made]


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
async def test_only_the_bad_ones_of_a_failing_batch_fail(run_pool: RunPool, tmp_path: Path, is_async: bool) -> None:
    code = FUSSY.replace("        def predict", "        async def predict").replace(
        " hold(text)", " await hold_async(text)"
    )
    async with run_pool(code if is_async else FUSSY, isolation="thread") as pool:
        made = await gather(pool, tmp_path / "go", ["a", "bad 1", "c", "d", "e", "bad 2", "g"])

    assert shown(made) == [
        "A",
        "ValueError: bad 1 cannot be read",
        "C",
        "D",
        "E",
        "ValueError: bad 2 cannot be read",
        "G",
    ]
    assert all("Traceback" in each.logs for each in (made[1], made[5]))
    assert not any("Traceback" in each.logs for each in (made[0], made[2]))


async def test_a_failing_batch_is_halved_not_taken_apart_one_by_one(run_pool: RunPool, tmp_path: Path) -> None:
    async with run_pool(FUSSY, isolation="thread") as pool:
        await gather(pool, tmp_path / "go", ["bad", *"bcdefgh"])
        calls = output_of(await ended(start(pool, text="calls")))

    sizes = [len(call) for call in eval(calls)][1:-1]
    assert sizes == [8, 4, 2, 1, 1, 2, 4]


async def test_an_exception_in_the_list_fails_that_one(run_pool: RunPool, tmp_path: Path) -> None:
    code = FUSSY.replace("return [each.upper() for each in text]", "return [KeyError(text[0]), *text[1:]]")
    async with run_pool(code, isolation="thread") as pool:
        made = await gather(pool, tmp_path / "go", ["a", "b"])

    assert shown(made) == ["KeyError: 'a'", "b"]


async def test_an_output_that_does_not_fit_fails_that_one(run_pool: RunPool, tmp_path: Path) -> None:
    code = FUSSY.replace("return [each.upper() for each in text]", "return [3, *text[1:]]")
    async with run_pool(code, isolation="thread") as pool:
        made = await gather(pool, tmp_path / "go", ["a", "b"])

    assert str(made[0].error).startswith("the output does not fit: ")
    assert shown(made)[1] == "b"


@pytest.mark.parametrize(
    ("result", "told"),
    [
        ("['one']", "predict returned 1 value for a batch of 2; it must be one for each prediction"),
        ("['one'] * 3", "predict returned 3 values for a batch of 2"),
        ("{'a': 1, 'b': 2}", "predict returned a dict for a batch of 2; it must be a list"),
        ("'ab'", "predict returned a str for a batch of 2"),
        ("None", "predict returned None for a batch of 2"),
        ("map(str, text)", "predict returned a map for a batch of 2"),
    ],
)
async def test_what_is_not_one_value_for_each_fails_all_and_says_so(
    run_pool: RunPool, tmp_path: Path, result: str, told: str
) -> None:
    code = FUSSY.replace("return [each.upper() for each in text]", f"return {result}")
    async with run_pool(code, isolation="thread") as pool:
        made = await gather(pool, tmp_path / "go", ["a", "b"])
        calls = output_of(await ended(start(pool, text="calls")))

    assert all(told in str(each.error) for each in made)
    assert len(eval(calls)) == 3  # nobody is to blame, so it is not tried again


async def test_an_array_is_taken_row_by_row(run_pool: RunPool, tmp_path: Path) -> None:
    code = (
        HOLD
        + """
    import numpy as np
    class Predictor:
        def predict(self, text: Batch[str]) -> Batch[list[float]]:
            hold(text)
            return np.arange(2.0 * len(text)).reshape(len(text), 2)
"""
    )
    async with run_pool(code, isolation="thread") as pool:
        made = await gather(pool, tmp_path / "go", ["a", "b"])

    assert shown(made) == [[0.0, 1.0], [2.0, 3.0]]


async def test_an_input_that_does_not_fit_keeps_nobody_waiting(run_pool: RunPool) -> None:
    code = """
    from typing import Annotated
    from pydantic import AfterValidator
    from servekit import Batch, batch
    def refuse(text):
        if text == "bad":
            raise ValueError("not this one")
        return text
    class Predictor:
        @batch(max_size=2, max_wait=60)
        def predict(self, text: Batch[Annotated[str, AfterValidator(refuse)]]) -> Batch[str]:
            return text
    """
    async with run_pool(code, isolation="thread") as pool:
        made = [start(pool, text=text) for text in ("a", "bad", "c")]
        for each in made:
            await ended(each)

    assert [each.status for each in made] == [Status.SUCCEEDED, Status.FAILED, Status.SUCCEEDED]
    assert "not this one" in str(made[1].error)


@pytest.mark.parametrize(
    ("decorator", "told"),
    [
        ("cost=lambda text: 1 / len(text), max_cost=1", "ZeroDivisionError"),
        ("cost=lambda text: 'much', max_cost=1", "the cost of @batch returned 'much'; it must be a finite number"),
        ("key=lambda text: [text]", "the key of @batch returned a list, which cannot be hashed"),
    ],
)
async def test_a_cost_or_a_key_that_fails_fails_its_prediction(run_pool: RunPool, decorator: str, told: str) -> None:
    code = FUSSY.replace("max_size=8", decorator)
    async with run_pool(code, isolation="thread") as pool:
        prediction = await ended(start(pool, text=""))

    assert (prediction.status, told in str(prediction.error)) == (Status.FAILED, True)


async def test_an_exit_in_a_batch_fails_it_and_the_worker_goes_on(run_pool: RunPool) -> None:
    code = FUSSY.replace("raise ValueError(", "raise SystemExit(")
    async with run_pool(code, isolation="thread") as pool:
        failed = await ended(start(pool, text="bad"))
        after = await ended(start(pool, text="a"))

    assert shown([failed, after]) == ["SystemExit: the model called sys.exit('bad cannot be read')", "A"]


async def test_a_worker_that_dies_takes_its_batch_and_no_other(run_pool: RunPool, tmp_path: Path) -> None:
    code = FUSSY.replace("raise ValueError(", "time.sleep(0.2) or os._exit(3) or (")
    events = PoolEvents()
    async with run_pool(code, observer=events, batch={"max_size": 2}) as pool:
        first = await begun(start(pool, text=str(tmp_path / "go")))
        texts = ["bad", "b", "c", "d", "e", "f"]
        async with arrival(pool):
            made = [start(pool, text=text) for text in texts]
        (tmp_path / "go").touch()
        for each in (first, *made):
            await ended(each)

    assert first.status is Status.SUCCEEDED
    lost = [text for text, each in zip(texts, made, strict=True) if each.status is Status.FAILED]
    assert {"bad", "b"} <= set(lost)
    assert "f" not in lost


async def test_a_deadline_ends_one_that_runs_and_the_others_go_on(run_pool: RunPool, tmp_path: Path) -> None:
    code = FUSSY.replace("max_size=8", "max_size=2, max_wait=60")
    async with run_pool(code, isolation="thread") as pool:
        late = start(pool, Terms(timeout=0.2), text="late")
        other = start(pool, text=str(tmp_path / "go"))
        await begun(other)
        await ended(late)
        assert not other.is_done
        (tmp_path / "go").touch()
        await ended(other)

    assert "timed out" in str(late.error)
    assert other.status is Status.SUCCEEDED


async def test_cancels_at_any_moment_leave_the_worker_whole(run_pool: RunPool) -> None:
    code = """
    import time
    from servekit import Batch, batch
    class Predictor:
        @batch(max_size=4)
        def predict(self, text: Batch[str]) -> Batch[str]:
            time.sleep(0.001 * len(text))
            if "bad" in text:
                raise ValueError("bad")
            return text
    """
    async with run_pool(code, isolation="thread", concurrency=2) as pool:
        for turn in range(60):
            made = [start(pool, text="bad" if order == turn % 9 else f"{order}") for order in range(9)]
            for order, each in enumerate(made):
                await asyncio.sleep(0.0003 * (turn % 5))
                if (order + turn) % 2:
                    pool.cancel(each, "canceled: not wanted")
            for each in made:
                await ended(each)
                if each.status is Status.SUCCEEDED:
                    assert output_of(each) == json.loads(each.shown_input)["text"]
        assert pool.free_slots == pool.slots


STUBBORN = (
    HOLD
    + """
    class Predictor:
        @batch(max_size=2)
        def predict(self, text: Batch[str]) -> Batch[str]:
            tell_batch(text)
            while "stubborn" in text:
                try:
                    time.sleep(0.005)
                except BaseException:
                    pass
            return text
"""
)


async def test_nobody_waits_behind_a_batch_that_does_not_stop(run_pool: RunPool) -> None:
    async with run_pool(STUBBORN, cancel_grace=0.2) as pool:
        stuck = await begun(start(pool, text="stubborn"))
        made = [start(pool, text=text) for text in "abcd"]
        pool.cancel(stuck, "canceled: not wanted")
        for each in (stuck, *made):
            await ended(each)

    assert stuck.status is Status.CANCELED
    assert [each.status for each in made] == [*[Status.FAILED] * 3, Status.SUCCEEDED]  # the last one was in the queue
    assert str(made[0].error).startswith("the batch before this one was canceled and its code did not stop")


async def test_a_cancel_that_becomes_another_error_is_not_tried_again(run_pool: RunPool) -> None:
    code = (
        HOLD
        + """
    class Predictor:
        calls = 0
        @batch(max_size=2, max_wait=60)
        def predict(self, text: Batch[str]) -> Batch[int]:
            self.calls += 1
            tell_batch(text)
            try:
                while "hold" in text:
                    time.sleep(0.005)
            except BaseException:
                raise ValueError("interrupted") from None
            return [self.calls] * 2
"""
    )
    async with run_pool(code, isolation="thread") as pool:
        made = [start(pool, text="hold"), start(pool, text="hold")]
        for each in made:
            await begun(each)
            pool.cancel(each, "canceled: not wanted")
        again = [start(pool, text="a"), start(pool, text="b")]
        outputs = [output_of(await ended(each)) for each in again]

    assert outputs == [2, 2]


async def test_a_batch_without_a_thread_for_its_outputs_fails(run_pool: RunPool) -> None:
    code = (
        HOLD
        + """
    import threading
    def refuse(thread):
        raise RuntimeError("can't start new thread")
    class Predictor:
        def predict(self, text: Batch[str]) -> Batch[str]:
            threading.Thread.start = refuse
            return text
"""
    )
    async with run_pool(code) as pool:
        prediction = await ended(start(pool, text="a"))

    assert prediction.error == "RuntimeError: can't start new thread"
