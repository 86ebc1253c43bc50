"""Predictions that are gathered into batches: who is with whom, in what order, and what each sees of the others."""

import json
from pathlib import Path

import pytest
from batches import HOLD, arrival, batch_of, gather, held, output_of
from pools import RunPool, begun, ended, start

from servekit.errors import ServekitError
from servekit.runtime.prediction import Status
from servekit.runtime.terms import Terms

VALUES = (
    HOLD
    + """
    class Predictor:
        @batch(max_size=4)
        def predict(self, text: Batch[str]) -> Batch[str]:
            tell_batch(text)
            hold(text)
            return [each.upper() for each in text]
"""
)
ASYNC_VALUES = (
    HOLD
    + """
    class Predictor:
        @batch(max_size=4)
        async def predict(self, text: Batch[str]) -> Batch[str]:
            tell_batch(text)
            await hold_async(text)
            return [each.upper() for each in text]
"""
)


@pytest.mark.parametrize("code", [VALUES, ASYNC_VALUES], ids=["sync", "async"])
@pytest.mark.parametrize("isolation", ["process", "thread"])
async def test_those_that_wait_run_together_and_each_gets_its_own(
    run_pool: RunPool, tmp_path: Path, code: str, isolation: str
) -> None:
    async with run_pool(code, isolation=isolation) as pool:
        made = await gather(pool, tmp_path / "go", ["a", "b", "c"])

    assert [output_of(each) for each in made] == ["A", "B", "C"]
    assert [batch_of(each) for each in made] == [["a", "b", "c"]] * 3
    assert [each.metrics["batch_size"] for each in made] == [3, 3, 3]


async def test_a_lone_prediction_runs_alone(run_pool: RunPool) -> None:
    async with run_pool(VALUES, isolation="thread") as pool:
        prediction = await ended(start(pool, text="a"))

    assert (output_of(prediction), prediction.metrics["batch_size"]) == ("A", 1)


async def test_a_batch_is_no_larger_than_max_size(run_pool: RunPool, tmp_path: Path) -> None:
    async with run_pool(VALUES, isolation="thread") as pool:
        made = await gather(pool, tmp_path / "go", list("abcdef"))

    assert [batch_of(each) for each in made] == [list("abcd")] * 4 + [list("ef")] * 2


async def test_the_spec_says_more_than_the_decorator(run_pool: RunPool, tmp_path: Path) -> None:
    async with run_pool(VALUES, isolation="thread", batch={"max_size": 2}) as pool:
        made = await gather(pool, tmp_path / "go", list("abc"))

    assert [batch_of(each) for each in made] == [["a", "b"], ["a", "b"], ["c"]]


async def test_the_urgent_go_first_however_many_wait(run_pool: RunPool, tmp_path: Path) -> None:
    priorities = [0] * 12 + [5, 9, 5, 9, 9, 5]
    code = VALUES.replace("return [", "time.sleep(0.02); return [")  # long enough for the queue to fill free slots
    async with run_pool(code, isolation="thread", batch={"max_size": 2}) as pool:
        made = await gather(
            pool,
            tmp_path / "go",
            [f"{order}" for order in range(len(priorities))],
            [Terms(priority) for priority in priorities],
        )

    by_end = sorted(made, key=lambda each: each.completed_at or 0)
    batches = [batch_of(each) for each in by_end][::2]
    assert batches[:3] == [["13", "15"], ["16", "12"], ["14", "17"]]
    assert batches[3:] == [[f"{order}", f"{order + 1}"] for order in range(0, 12, 2)]


async def test_only_those_of_one_key_are_together(run_pool: RunPool, tmp_path: Path) -> None:
    code = VALUES.replace("max_size=4", "max_size=4, key=lambda text: len(text)")
    async with run_pool(code, isolation="thread") as pool:
        made = await gather(pool, tmp_path / "go", ["a", "bb", "c", "dd", "e"])

    assert [batch_of(each) for each in made] == [
        ["a", "c", "e"],
        ["bb", "dd"],
        ["a", "c", "e"],
        ["bb", "dd"],
        ["a", "c", "e"],
    ]


async def test_a_batch_costs_no_more_than_max_cost_but_for_a_single_one(run_pool: RunPool, tmp_path: Path) -> None:
    code = VALUES.replace("max_size=4", "max_cost=5, cost=lambda text: len(text)")
    async with run_pool(code, isolation="thread") as pool:
        made = await gather(pool, tmp_path / "go", ["aaa", "bbb", "cc", "ddddddd"])

    assert [batch_of(each) for each in made] == [["aaa", "cc"], ["bbb"], ["aaa", "cc"], ["ddddddd"]]


async def test_a_fixed_wait_gathers_those_that_come_within_it(run_pool: RunPool) -> None:
    code = VALUES.replace("max_size=4", "max_size=3, max_wait=60")
    async with run_pool(code, isolation="thread") as pool:
        async with arrival(pool):
            made = [start(pool, text=text) for text in "ab"]
        made.append(start(pool, text="c"))
        for each in made:
            await ended(each)

    assert [batch_of(each) for each in made] == [["a", "b", "c"]] * 3


async def test_two_batches_run_at_once_with_a_concurrency_of_two(run_pool: RunPool, tmp_path: Path) -> None:
    async with run_pool(VALUES, isolation="thread", concurrency=2) as pool:
        async with held(pool, tmp_path / "go") as first:
            beside = await ended(start(pool, text="a"))
            assert not first.is_done
        await ended(first)

    assert output_of(beside) == "A"


async def test_each_has_its_own_inputs_and_defaults(run_pool: RunPool, tmp_path: Path) -> None:
    code = (
        HOLD
        + """
    class Predictor:
        def predict(self, text: Batch[str], times: Batch[int] = Input(default=2, ge=1)) -> Batch[str]:
            tell_batch(text)
            hold(text)
            return [each * n for each, n in zip(text, times)]
"""
    )
    async with run_pool(code, isolation="thread") as pool:
        async with held(pool, tmp_path / "go") as first:
            made = [start(pool, text="a"), start(pool, text="b", times=3)]
        outputs = [output_of(await ended(each)) for each in made]
        await ended(first)
        assert pool.model is not None
        schema = pool.model.input_schema["properties"]

    assert outputs == ["aa", "bbb"]
    assert (schema["text"]["type"], schema["times"]["type"]) == ("string", "integer")


SCOPES = (
    HOLD
    + """
    from servekit import NoScopeError
    class Predictor:
        def predict(self, text: Batch[str]) -> Batch[dict]:
            tell_batch(text)
            hold(text)
            try:
                current_scope()
            except NoScopeError as error:
                refused = str(error)
            results = []
            for scope, each in zip(current_scopes(), text):
                scope.record_metric("letters", len(each))
                with scope.active():
                    print(f"only {each}")
                    results.append({"id": current_scope().id, "context": dict(scope.context), "refused": refused})
            return results
"""
)


async def test_each_has_its_own_scope_and_none_is_the_batchs(run_pool: RunPool, tmp_path: Path) -> None:
    async with run_pool(SCOPES, isolation="thread") as pool:
        async with held(pool, tmp_path / "go") as first:
            made = [
                pool.new_prediction(json.dumps({"text": text}).encode(), id=text, context={"who": text})
                for text in ("a", "bb")
            ]
            for each in made:
                pool.submit(each)
        for each in made:
            await ended(each)
        await ended(first)

    for each, name in zip(made, ("a", "bb"), strict=True):
        output = output_of(each)
        assert (output["id"], output["context"]) == (name, {"who": name})
        assert "current_scopes()" in output["refused"]
        assert each.metrics["letters"] == len(name)
        assert each.logs == f"a,bb\nonly {name}\n"


async def test_what_a_batch_sets_no_other_one_sees(run_pool: RunPool) -> None:
    code = """
    from contextvars import ContextVar
    from servekit import Batch
    seen = ContextVar("seen", default="nothing")
    class Predictor:
        def predict(self, text: Batch[str]) -> Batch[str]:
            before = seen.get()
            seen.set(text[0])
            return [before] * len(text)
    """
    async with run_pool(code, isolation="thread") as pool:
        outputs = [output_of(await ended(start(pool, text=text))) for text in "abc"]

    assert outputs == ["nothing"] * 3


async def test_a_worker_holds_the_next_batch_and_the_queue_the_rest(run_pool: RunPool, tmp_path: Path) -> None:
    async with run_pool(VALUES, isolation="thread") as pool:
        async with held(pool, tmp_path / "go") as first:
            made = [start(pool, text=f"{order}") for order in range(10)]
            assert (pool.slots, pool.queue_length) == (8, 3)
        for each in (first, *made):
            await ended(each)

    assert {each.status for each in made} == {Status.SUCCEEDED}


@pytest.mark.parametrize(
    ("code", "serve", "message"),
    [
        (VALUES, {"concurrency": {"min": 1, "max": 4}}, "takes batches, and serve.concurrency is a range"),
        (VALUES, {"batch": {"max_cost": 3}}, "serve.batch.max_cost is 3, .*cost function"),
        ("def predict(text: str) -> str: ...", {"batch": {"max_size": 3}}, "takes one prediction at a time"),
        (
            "from servekit import batch\n@batch\ndef predict(text: str) -> str: ...",
            {},
            "takes one prediction at a time, and it has @batch",
        ),
        (
            VALUES.replace("max_size=4", "key=lambda size: size"),
            {},
            "the key of @batch takes size, and is called with inputs by name: text",
        ),
    ],
)
async def test_what_is_said_of_batches_and_cannot_be_is_told_at_the_start(
    run_pool: RunPool, code: str, serve: dict[str, object], message: str
) -> None:
    name = "predict.py:Predictor" if "class Predictor" in code else "predict.py:predict"

    with pytest.raises(ServekitError, match=message):
        async with run_pool(code, predictor=name, isolation="thread", **serve):
            pass


async def test_files_of_a_batch_are_files_for_each(run_pool: RunPool) -> None:
    code = """
    from servekit import Batch, Path
    class Predictor:
        def predict(self, image: Batch[Path]) -> Batch[Path]:
            results = []
            for path in image:
                path.with_suffix(".out").write_bytes(path.read_bytes()[::-1])
                results.append(Path(path.with_suffix(".out")))
            return results
    """
    async with run_pool(code, isolation="thread") as pool:
        made = [start(pool, image=f"data:text/plain,{text}") for text in ("abc", "xyz")]
        outputs = [output_of(await ended(each)) for each in made]

    assert [output.rpartition(",")[2] for output in outputs] == ["Y2Jh", "enl4"]


async def test_a_cancel_of_one_that_waits_leaves_the_others(run_pool: RunPool, tmp_path: Path) -> None:
    async with run_pool(VALUES, isolation="thread") as pool:
        async with held(pool, tmp_path / "go") as first:
            async with arrival(pool):
                made = [start(pool, text=text) for text in "abc"]
            pool.cancel(made[1], "canceled: not wanted")
            await ended(made[1])
            assert not first.is_done
        for each in made:
            await ended(each)

    assert [each.status for each in made] == [Status.SUCCEEDED, Status.CANCELED, Status.SUCCEEDED]
    assert batch_of(made[0]) == ["a", "c"]


@pytest.mark.parametrize("code", [VALUES, ASYNC_VALUES], ids=["sync", "async"])
async def test_a_cancel_of_one_that_runs_ends_it_at_once_and_no_other(
    run_pool: RunPool, tmp_path: Path, code: str
) -> None:
    code = code.replace("max_size=4", "max_size=2, max_wait=60")
    async with run_pool(code, isolation="thread") as pool:
        made = [start(pool, text=text) for text in (str(tmp_path / "go"), "b")]
        for each in made:
            await begun(each)
        pool.cancel(made[1], "canceled: not wanted")
        await ended(made[1])
        assert not made[0].is_done
        (tmp_path / "go").touch()
        await ended(made[0])

    assert (made[0].status, made[1].status) == (Status.SUCCEEDED, Status.CANCELED)


@pytest.mark.parametrize("code", [VALUES, ASYNC_VALUES], ids=["sync", "async"])
async def test_when_all_are_canceled_the_call_is_stopped(run_pool: RunPool, tmp_path: Path, code: str) -> None:
    code = code.replace("max_size=4", "max_size=2, max_wait=60")
    async with run_pool(code, isolation="thread", cancel_grace=20) as pool:
        made = [start(pool, text=text) for text in (str(tmp_path / "never"), "b")]
        for each in made:
            await begun(each)
            pool.cancel(each, "canceled: not wanted")
        for each in made:
            await ended(each)
        again = [start(pool, text="c"), start(pool, text="d")]

        assert [output_of(await ended(each)) for each in again] == ["C", "D"]

    assert [each.status for each in made] == [Status.CANCELED] * 2
