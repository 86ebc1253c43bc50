"""The four kinds of predict, in a process and in a thread, with what they give and what they refuse."""

import json
from typing import Any

import pytest
from pools import RunPool

from servekit.runtime.pool import Pool
from servekit.runtime.prediction import EventKind, Prediction, Status

pytestmark = pytest.mark.parametrize("isolation", ["process", "thread"])


async def predict(pool: Pool, **values: Any) -> Prediction:
    prediction = pool.new_prediction(json.dumps(values).encode())
    pool.submit(prediction)
    await prediction.done()
    return prediction


VALUE = """
    class Predictor:
        def predict(self, text: str) -> str:
            return text.upper()
"""
ASYNC_VALUE = """
    import asyncio
    class Predictor:
        async def predict(self, text: str) -> str:
            await asyncio.sleep(0)
            return text.upper()
"""
ITEMS = """
    from collections.abc import Iterator
    class Predictor:
        def predict(self, text: str) -> Iterator[str]:
            for letter in text:
                yield letter.upper()
"""
ASYNC_ITEMS = """
    import asyncio
    from collections.abc import AsyncIterator
    class Predictor:
        async def predict(self, text: str) -> AsyncIterator[str]:
            for letter in text:
                await asyncio.sleep(0)
                yield letter.upper()
"""


@pytest.mark.parametrize("code", [VALUE, ASYNC_VALUE])
async def test_a_returned_value_is_the_output(run_pool: RunPool, code: str, isolation: str) -> None:
    async with run_pool(code, isolation=isolation) as pool:
        prediction = await predict(pool, text="abc")

    assert (prediction.status, prediction.output) == (Status.SUCCEEDED, b'"ABC"')


@pytest.mark.parametrize("code", [ITEMS, ASYNC_ITEMS])
async def test_yielded_items_are_events_in_order_and_a_list_in_the_end(
    run_pool: RunPool, code: str, isolation: str
) -> None:
    async with run_pool(code, isolation=isolation) as pool:
        prediction = await predict(pool, text="abc")

    items = [data for kind, data in zip(prediction.kinds, prediction.data, strict=True) if kind == EventKind.OUTPUT]
    assert items == [b'"A"', b'"B"', b'"C"']
    assert prediction.output == b'["A","B","C"]'


@pytest.mark.parametrize("code", [VALUE, ASYNC_VALUE, ITEMS, ASYNC_ITEMS])
async def test_a_slot_is_free_for_the_next_prediction(run_pool: RunPool, code: str, isolation: str) -> None:
    async with run_pool(code, isolation=isolation, queue={"max": 0}) as pool:
        for _ in range(50):
            prediction = await predict(pool, text="x")
            assert prediction.status is Status.SUCCEEDED


async def test_a_plain_function_is_a_predictor(run_pool: RunPool, isolation: str) -> None:
    code = """
        def double(n: int = 4) -> int:
            return 2 * n
    """
    async with run_pool(code, predictor="predict.py:double", isolation=isolation) as pool:
        prediction = await predict(pool)

    assert prediction.output == b"8"


async def test_setup_runs_once_and_its_state_is_seen_by_predictions(run_pool: RunPool, isolation: str) -> None:
    code = """
        class Predictor:
            async def setup(self) -> None:
                self.count = 0
            def predict(self) -> int:
                self.count += 1
                return self.count
    """
    async with run_pool(code, isolation=isolation) as pool:
        outputs = [(await predict(pool)).output for _ in range(3)]

    assert outputs == [b"1", b"2", b"3"]


async def test_an_exception_fails_the_prediction_with_logs_and_the_authors_traceback(
    run_pool: RunPool, isolation: str
) -> None:
    code = """
        class Predictor:
            def predict(self) -> str:
                print("on the way")
                raise ValueError("boom")
    """
    async with run_pool(code, isolation=isolation) as pool:
        prediction = await predict(pool)

    assert prediction.status is Status.FAILED
    assert prediction.error == "ValueError: boom"
    assert prediction.logs.startswith("on the way\nTraceback")
    assert "predict.py" in prediction.logs
    assert "servekit/runtime" not in prediction.logs


@pytest.mark.parametrize("kind", ["def", "async def"])
async def test_items_before_an_exception_are_kept(run_pool: RunPool, kind: str, isolation: str) -> None:
    code = f"""
        from typing import Any
        class Predictor:
            {kind} predict(self):
                yield 1
                yield 2
                raise RuntimeError("late")
    """
    async with run_pool(code, isolation=isolation) as pool:
        prediction = await predict(pool)

    assert (prediction.status, prediction.output, prediction.error) == (Status.FAILED, b"[1,2]", "RuntimeError: late")


@pytest.mark.parametrize("kind", ["def", "async def"])
async def test_an_exception_before_the_first_item_is_told(run_pool: RunPool, kind: str, isolation: str) -> None:
    code = f"""
        class Predictor:
            {kind} predict(self):
                raise RuntimeError("early")
                yield 1
    """
    async with run_pool(code, isolation=isolation) as pool:
        prediction = await predict(pool)

    assert (prediction.status, prediction.output, prediction.error) == (Status.FAILED, b"null", "RuntimeError: early")


@pytest.mark.parametrize("kind", ["def", "async def"])
async def test_an_item_of_a_wrong_type_is_named_with_its_place(run_pool: RunPool, kind: str, isolation: str) -> None:
    iterator = "Iterator" if kind == "def" else "AsyncIterator"
    code = f"""
        from collections.abc import {iterator}
        class Predictor:
            {kind} predict(self) -> {iterator}[int]:
                yield 1
                yield "two"
    """
    async with run_pool(code, isolation=isolation) as pool:
        prediction = await predict(pool)

    assert prediction.status is Status.FAILED
    assert prediction.error is not None
    assert "item 1" in prediction.error
    assert prediction.output == b"[1]"


@pytest.mark.parametrize(
    ("returned", "expected"),
    [("object()", "object"), ("float('nan')", "NaN"), ("{'a': [1, float('inf')]}", "Infinity|inf")],
)
async def test_what_json_cannot_hold_fails_with_words(
    run_pool: RunPool, returned: str, expected: str, isolation: str
) -> None:
    code = f"""
        class Predictor:
            def predict(self):
                return {returned}
    """
    async with run_pool(code, isolation=isolation) as pool:
        prediction = await predict(pool)

    assert prediction.status is Status.FAILED
    assert prediction.error is not None
    assert any(word in prediction.error for word in expected.split("|"))


async def test_ten_megabytes_of_output_pass(run_pool: RunPool, isolation: str) -> None:
    code = """
        class Predictor:
            def predict(self) -> str:
                return "x" * 10_000_000
    """
    async with run_pool(code, isolation=isolation) as pool:
        prediction = await predict(pool)

    assert len(prediction.output) == 10_000_002


async def test_more_output_than_allowed_fails_and_names_the_limit(run_pool: RunPool, isolation: str) -> None:
    code = """
        class Predictor:
            def predict(self):
                for _ in range(100):
                    yield "x" * 1000
    """
    async with run_pool(code, isolation=isolation, max_output="50KB") as pool:
        prediction = await predict(pool)

    assert prediction.status is Status.FAILED
    assert prediction.error is not None
    assert "serve.max_output" in prediction.error


@pytest.mark.parametrize("kind", ["def", "async def"])
async def test_a_million_tokens_arrive_without_a_gap(run_pool: RunPool, kind: str, isolation: str) -> None:
    code = f"""
        class Predictor:
            {kind} predict(self):
                for number in range(1_000_000):
                    yield number
    """
    async with run_pool(code, isolation=isolation) as pool:
        prediction = await predict(pool)

    assert json.loads(prediction.output) == list(range(1_000_000))


async def test_sys_exit_in_predict_fails_the_prediction_and_the_worker_goes_on(
    run_pool: RunPool, isolation: str
) -> None:
    code = """
        import sys
        class Predictor:
            def predict(self, leave: bool) -> str:
                if leave:
                    sys.exit(3)
                return "here"
    """
    async with run_pool(code, isolation=isolation) as pool:
        left = await predict(pool, leave=True)
        stayed = await predict(pool, leave=False)

    assert (left.status, left.error) == (Status.FAILED, "SystemExit: the model called sys.exit(3)")
    assert stayed.output == b'"here"'


async def test_metrics_are_recorded_by_mode(run_pool: RunPool, isolation: str) -> None:
    code = """
        from servekit import current_scope
        class Predictor:
            def predict(self) -> None:
                scope = current_scope()
                scope.record_metric("model", "a")
                scope.record_metric("model", "b")
                for _ in range(3):
                    scope.record_metric("tokens", 2, mode="increment")
                    scope.record_metric("steps", 1, mode="append")
    """
    async with run_pool(code, isolation=isolation) as pool:
        prediction = await predict(pool)

    recorded = {name: prediction.metrics[name] for name in ("model", "tokens", "steps")}
    assert recorded == {"model": "b", "tokens": 6, "steps": [1, 1, 1]}
    assert {"predict_time", "queue_time"} <= prediction.metrics.keys()


async def test_a_scope_knows_its_prediction(run_pool: RunPool, isolation: str) -> None:
    code = """
        from servekit import current_scope
        class Predictor:
            async def predict(self) -> list:
                scope = current_scope()
                return [scope.id, dict(scope.context), scope.deadline is not None, scope.cancelled]
    """
    async with run_pool(code, isolation=isolation) as pool:
        prediction = pool.new_prediction(b"{}", id="mine", context={"tenant": "a"})
        pool.submit(prediction)
        await prediction.done()

    assert json.loads(prediction.output) == ["mine", {"tenant": "a"}, True, False]


async def test_an_input_that_only_the_types_can_refuse_is_an_input_error(run_pool: RunPool, isolation: str) -> None:
    code = """
        from typing import Annotated
        from pydantic import AfterValidator
        def even(n: int) -> int:
            if n % 2:
                raise ValueError("must be even")
            return n
        class Predictor:
            def predict(self, n: Annotated[int, AfterValidator(even)]) -> int:
                return n
    """
    async with run_pool(code, isolation=isolation) as pool:
        prediction = await predict(pool, n=3)

    assert prediction.status is Status.FAILED
    assert prediction.problems is not None
    assert json.loads(prediction.problems)[0]["loc"][-1] == "n"
