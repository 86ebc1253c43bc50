"""What an author writes about batches."""

from typing import Any

import pytest

from servekit import Batch, batch
from servekit.batching import BatchOptions, bind_to_inputs, find_batch_options
from servekit.errors import SignatureError


def count(text: str) -> float:
    return len(text)


def test_the_decorator_leaves_the_function_and_says_what_was_said() -> None:
    @batch(max_size=8, max_wait=0.01, max_cost=100, cost=count)
    def predict(text: Batch[str]) -> Batch[str]:
        return text

    assert predict(["a"]) == ["a"]
    assert find_batch_options(predict) == BatchOptions(8, 0.01, 100, count)


def test_the_decorator_may_stand_without_arguments() -> None:
    @batch
    def predict(text: Batch[str]) -> Batch[str]:
        return text

    assert find_batch_options(predict) == BatchOptions()


def test_a_function_without_it_says_nothing() -> None:
    assert find_batch_options(count) is None


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"max_size": 0}, ValueError, "max_size is 0; it must be at least 1"),
        ({"max_size": 1.5}, TypeError, "max_size is 1.5; it must be a whole number"),
        ({"max_size": True}, TypeError, "max_size is True; it must be a whole number"),
        ({"max_wait": -1}, ValueError, "max_wait is -1; it must be finite and not below 0"),
        ({"max_wait": "1s"}, TypeError, "max_wait is '1s'; it must be a number"),
        ({"max_cost": 0, "cost": count}, ValueError, "max_cost is 0; it must be finite and above 0"),
        ({"max_cost": 3}, ValueError, "max_cost needs cost"),
        ({"key": "size"}, TypeError, "key is 'size'; it must be a function of a prediction's inputs"),
    ],
)
def test_what_cannot_be_is_refused_where_it_is_written(
    values: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        batch(**values)


def test_a_cost_gets_those_inputs_that_it_takes() -> None:
    def twice(text: str, factor: int = 2) -> int:
        return len(text) * factor

    bound = bind_to_inputs(twice, ["text", "steps"], "the cost")

    assert bound({"text": "abc", "steps": 10}) == 6


def test_a_cost_may_take_all_inputs() -> None:
    def count_inputs(**inputs: Any) -> int:
        return len(inputs)

    bound = bind_to_inputs(count_inputs, ["text", "steps"], "the cost")

    assert bound({"text": "abc", "steps": 10}) == 2


def test_a_cost_that_takes_what_is_no_input_is_refused() -> None:
    def count_words(words: str) -> int:
        return len(words)

    with pytest.raises(SignatureError, match="the cost takes words, and is called with inputs by name: text"):
        bind_to_inputs(count_words, ["text"], "the cost")
