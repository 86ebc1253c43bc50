"""`BasePredictor.batch`: this very instance, over many inputs, in this process."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from servekit import END, BasePredictor, Batch, Input, batch
from servekit.errors import OutputError


class Scales(BasePredictor):
    def __init__(self) -> None:
        self.factor = 10
        self.most = 0
        self._inside = 0

    def predict(self, n: int, plus: int = Input(default=0, ge=0), minus: int = 0) -> int:
        self._inside += 1
        self.most = max(self.most, self._inside)
        if n < 0:
            raise ValueError(f"no {n}")
        self._inside -= 1
        return n * self.factor + plus - minus


class Steps(BasePredictor):
    def predict(self, n: int) -> Iterator[int]:
        yield from range(n)


class AsyncSteps(BasePredictor):
    async def predict(self, n: int) -> AsyncIterator[int]:
        for number in range(n):
            yield number


class Async(BasePredictor):
    async def predict(self, n: int) -> int:
        await asyncio.sleep(0)
        return n


class Sums(BasePredictor):
    def __init__(self) -> None:
        self.sizes: list[int] = []

    @batch(max_size=2)
    def predict(self, n: Batch[int], plus: Batch[int] = 1) -> Batch[int]:  # type: ignore[assignment] # pyright: ignore[reportArgumentType] - the default of one
        self.sizes.append(len(n))
        if 13 in n:
            raise ValueError("unlucky")
        return [a + b for a, b in zip(n, plus, strict=True)]


class BatchedSteps(BasePredictor):
    def predict(self, n: Batch[int]) -> Iterator[Batch[Any]]:
        for step in range(max(n)):
            yield [step if step < each else END for each in n]


class AsyncSums(BasePredictor):
    async def predict(self, n: Batch[int]) -> Batch[int]:
        await asyncio.sleep(0)
        return n


def test_the_instance_itself_is_called_with_its_defaults() -> None:
    predictor = Scales()
    predictor.factor = 2

    assert predictor.batch([{"n": 1}, {"n": 2, "plus": 5}, {"n": 3, "minus": 1}]) == [2, 9, 5]


@pytest.mark.parametrize("predictor", [Steps(), AsyncSteps()])
def test_what_a_generator_yields_is_a_list(predictor: BasePredictor) -> None:
    assert predictor.batch([{"n": 2}, {"n": 0}]) == [[0, 1], []]


def test_async_code_runs_on_a_loop_of_its_own() -> None:
    assert Async().batch(({"n": n} for n in range(5)), max_concurrency=3) == [0, 1, 2, 3, 4]


async def test_async_code_is_pointed_to_run_batch_where_a_loop_runs() -> None:
    with pytest.raises(RuntimeError, match=r"use `async for result in servekit.run_batch\(predictor, inputs\)` there"):
        Async().batch([{"n": 1}])


def test_one_call_runs_at_a_time_if_nothing_else_is_said() -> None:
    predictor = Scales()
    predictor.batch([{"n": n} for n in range(50)])

    assert predictor.most == 1


def test_several_calls_run_at_once_when_asked_for() -> None:
    barrier = threading.Barrier(3)

    class Meets(BasePredictor):
        def predict(self, n: int) -> int:
            barrier.wait(10)
            return n

    assert Meets().batch([{"n": n} for n in range(3)], max_concurrency=3) == [0, 1, 2]


def test_the_first_error_is_raised() -> None:
    with pytest.raises(ValueError, match="no -1"):
        Scales().batch([{"n": 1}, {"n": -1}])


def test_errors_take_the_place_of_results_when_asked_for() -> None:
    one, error = Scales().batch([{"n": 1}, {"n": -1}], on_error="collect")

    assert (one, str(error)) == (10, "no -1")


def test_a_predictor_that_takes_batches_is_called_in_groups() -> None:
    predictor = Sums()

    assert predictor.batch([{"n": n} for n in range(4)] + [{"n": 4, "plus": 5}]) == [1, 2, 3, 4, 9]
    assert predictor.sizes == [2, 2, 1]


def test_the_error_of_a_group_is_that_of_each_of_its_inputs() -> None:
    results = Sums().batch([{"n": 1}, {"n": 2}, {"n": 13}], on_error="collect")

    assert [str(each) for each in results] == ["2", "3", "unlucky"]


def test_members_of_a_batched_generator_end_at_different_steps() -> None:
    assert BatchedSteps().batch([{"n": 1}, {"n": 3}, {"n": 0}]) == [[0], [0, 1, 2], []]


def test_async_batches_are_awaited() -> None:
    assert AsyncSums().batch([{"n": n} for n in range(40)]) == list(range(40))


def test_a_batched_predictor_that_gives_too_few_values_is_told_so() -> None:
    class Loses(BasePredictor):
        def predict(self, n: Batch[int]) -> Batch[int]:
            return n[1:]

    with pytest.raises(OutputError, match="predict returned 1 value for a batch of 2"):
        Loses().batch([{"n": 1}, {"n": 2}])


def test_a_single_error_among_the_values_of_a_batch_is_raised_or_collected() -> None:
    class Picky(BasePredictor):
        def predict(self, n: Batch[int]) -> Batch[Any]:
            return [each or ValueError("zero") for each in n]

    assert [str(each) for each in Picky().batch([{"n": 0}, {"n": 2}], on_error="collect")] == ["zero", "2"]
    with pytest.raises(ValueError, match="zero"):
        Picky().batch([{"n": 0}, {"n": 2}])
