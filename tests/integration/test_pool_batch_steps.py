"""Batched generators: each step has an item for each prediction, and predictions end when they have enough."""

import asyncio
from pathlib import Path

import pytest
from batches import HOLD, gather, output_of
from pools import RunPool, begun, ended, start
from put_receiver import run_put_receiver

from servekit.runtime.prediction import EventKind, Status

SYNC = (
    HOLD
    + """
    class Predictor:
        @batch(max_size=4)
        def predict(self, text: Batch[str]) -> Iterator[Batch[str]]:
            tell_batch(text)
            hold(text)
            for step in range(max(len(each) for each in text)):
                yield [each[step] if step < len(each) else END for each in text]
"""
)
ASYNC = (
    HOLD
    + """
    class Predictor:
        @batch(max_size=4)
        async def predict(self, text: Batch[str]) -> AsyncIterator[Batch[str]]:
            tell_batch(text)
            await hold_async(text)
            for step in range(max(len(each) for each in text)):
                yield [each[step] if step < len(each) else END for each in text]
"""
)
BOTH = pytest.mark.parametrize("code", [SYNC, ASYNC], ids=["sync", "async"])


@BOTH
@pytest.mark.parametrize("isolation", ["process", "thread"])
async def test_each_gets_its_items_and_ends_when_it_has_all(
    run_pool: RunPool, tmp_path: Path, code: str, isolation: str
) -> None:
    async with run_pool(code, isolation=isolation) as pool:
        made = await gather(pool, tmp_path / "go", ["abc", "x", "yz"])

    assert [output_of(each) for each in made] == [["a", "b", "c"], ["x"], ["y", "z"]]
    assert [each.metrics["batch_size"] for each in made] == [3, 3, 3]


@BOTH
async def test_one_that_has_ended_does_not_wait_for_the_rest(run_pool: RunPool, tmp_path: Path, code: str) -> None:
    code = code.replace("max_size=4", "max_size=2, max_wait=60").replace(
        "yield [",
        "step and (await hold_async(text[:1])); yield ["
        if "async def predict" in code
        else "step and hold(text[:1]); yield [",
    )
    code = code.replace("            hold(text)\n", "").replace("            await hold_async(text)\n", "")
    async with run_pool(code, isolation="thread") as pool:
        long = start(pool, text=str(tmp_path / "go"))
        short = start(pool, text="s")
        async with asyncio.timeout(20):
            while EventKind.OUTPUT not in long.kinds:
                await long.changed(len(long.kinds))
        (tmp_path / "go").touch()
        await ended(short)
        await ended(long)

    assert output_of(short) == ["s"]
    assert (short.completed_at or 0) <= (long.completed_at or 0)


@BOTH
async def test_a_cancel_of_one_ends_its_items_and_no_others(run_pool: RunPool, tmp_path: Path, code: str) -> None:
    code = code.replace("max_size=4", "max_size=2, max_wait=60")
    async with run_pool(code, isolation="thread") as pool:
        made = [start(pool, text=text) for text in (str(tmp_path / "go"), "b" * 100)]
        for each in made:
            await begun(each)
        pool.cancel(made[1], "canceled: not wanted")
        await ended(made[1])
        (tmp_path / "go").touch()
        await ended(made[0])

    assert (made[0].status, "".join(output_of(made[0]))) == (Status.SUCCEEDED, str(tmp_path / "go"))
    assert (made[1].status, output_of(made[1])) == (Status.CANCELED, None)


@BOTH
async def test_when_all_are_canceled_the_generator_is_closed(run_pool: RunPool, code: str) -> None:
    endless = code.replace("for step in range(max(len(each) for each in text)):", "while True:").replace(
        "yield [each[step] if step < len(each) else END for each in text]", "SLEEP; yield list(text)"
    )
    sleep = "await asyncio.sleep(0.001)" if "async def predict" in code else "time.sleep(0.001)"
    endless = endless.replace("SLEEP", sleep)
    async with run_pool(endless, isolation="thread") as pool:
        for _ in range(10):
            made = [start(pool, text=text) for text in "ab"]
            for each in made:
                await begun(each)
                pool.cancel(each, "canceled: not wanted")
            for each in made:
                await ended(each)
                assert each.status is Status.CANCELED
        assert pool.free_slots == pool.slots


@BOTH
async def test_a_failure_before_the_first_items_fails_only_the_bad_ones(
    run_pool: RunPool, tmp_path: Path, code: str
) -> None:
    code = code.replace("for step", "assert 'bad' not in text, 'a bad one'\n            for step", 1)
    async with run_pool(code, isolation="thread") as pool:
        made = await gather(pool, tmp_path / "go", ["ab", "bad", "cd"])

    assert [each.status for each in made] == [Status.SUCCEEDED, Status.FAILED, Status.SUCCEEDED]
    assert [output_of(made[0]), output_of(made[2])] == [["a", "b"], ["c", "d"]]
    assert made[1].error == "AssertionError: a bad one"


@BOTH
async def test_a_failure_after_items_fails_those_that_have_not_ended(
    run_pool: RunPool, tmp_path: Path, code: str
) -> None:
    code = code.replace("yield [", "assert step < 2, 'broken'; yield [")
    async with run_pool(code, isolation="thread") as pool:
        made = await gather(pool, tmp_path / "go", ["abc", "x"])

    assert [(each.status, each.error) for each in made] == [
        (Status.FAILED, "AssertionError: broken"),
        (Status.SUCCEEDED, None),
    ]


@BOTH
async def test_a_bad_item_fails_that_one_and_the_others_go_on(run_pool: RunPool, tmp_path: Path, code: str) -> None:
    code = code.replace("each[step] if", "ValueError(each) if each[step] == '!' else each[step] if")
    code = code.replace("if step < len(each)", "if step < len(each)").replace("each[step] == '!'", "each[step:] == '!'")
    async with run_pool(code, isolation="thread") as pool:
        made = await gather(pool, tmp_path / "go", ["a!", "xyz"])

    assert [each.error for each in made] == ["ValueError: a!", None]
    assert output_of(made[1]) == ["x", "y", "z"]


@BOTH
async def test_a_step_of_the_wrong_length_says_so(run_pool: RunPool, tmp_path: Path, code: str) -> None:
    code = code.replace("for each in text]", "for each in text][:1]")
    async with run_pool(code, isolation="thread") as pool:
        made = await gather(pool, tmp_path / "go", ["ab", "cd"])

    assert all("predict yielded 1 value for a batch of 2" in str(each.error) for each in made)


@BOTH
async def test_a_cancel_while_a_file_is_sent_ends_that_one_and_the_others_go_on(run_pool: RunPool, code: str) -> None:
    code = code.replace("Iterator[Batch[str]]", "Iterator[Batch[Path]]").replace("size=4", "size=2, max_wait=60")
    code = code.replace("for each in text]", "for scope, each in zip(current_scopes(), text)]")
    code = code.replace("[each[step] if", "[written(scope, each[step]) if").replace(
        "    class Predictor",
        """
    from servekit import Path
    def written(scope, name):
        path = Path(scope.temp_dir / name)
        path.write_text(name)
        return path
    class Predictor""",
    )
    with run_put_receiver() as receiver:
        receiver.hold("/a")
        async with run_pool(code, isolation="thread", upload={"url": receiver.url}) as pool:
            made = [start(pool, text=text) for text in ("ab", "xyz")]
            await asyncio.to_thread(receiver.wait_for, "/a")
            pool.cancel(made[0], "canceled: not wanted")
            await ended(made[0])
            await ended(made[1])

    assert [each.status for each in made] == [Status.CANCELED, Status.SUCCEEDED]
    assert output_of(made[1]) == [f"{receiver.url}/{name}" for name in "xyz"]
