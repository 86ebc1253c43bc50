"""How many workers there are, as people write it."""

import json

import pytest
from pydantic import ValidationError

from servekit.spec import Range, ServeSpec


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (4, Range[int | str](4, 4)),
        ("4", Range[int | str](4, 4)),
        ("auto", Range("auto", "auto")),
        ("per_gpu", Range("per_gpu", "per_gpu")),
        ({"min": 0, "max": 4}, Range(0, 4)),
        ({"min": 1, "max": "auto"}, Range[int | str](1, "auto")),
        ("0-4", Range(0, 4)),
        ("1 - per_gpu", Range[int | str](1, "per_gpu")),
    ],
)
def test_a_number_a_word_and_a_range_are_read(written: object, meant: Range[int | str]) -> None:
    assert ServeSpec.model_validate({"workers": written}).workers == meant


@pytest.mark.parametrize(
    ("written", "meant"),
    [(4, Range(4, 4)), ("4", Range(4, 4)), ({"min": 2, "max": 8}, Range(2, 8)), ("2-8", Range(2, 8))],
)
def test_slots_are_a_number_or_a_range(written: object, meant: Range[int]) -> None:
    assert ServeSpec.model_validate({"concurrency": written}).concurrency == meant


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (0, "nothing would ever run"),
        ({"min": 0, "max": 4}, "min must be at least 1"),
        ({"min": 4, "max": 2}, r"min \(4\) is more than max \(2\)"),
        ({"max": 2}, "a range with min and max"),
        ("auto", "a whole number of at least 1, or a range"),
    ],
)
def test_slots_that_make_no_sense_are_refused_in_words(written: object, expected: str) -> None:
    with pytest.raises(ValidationError, match=expected):
        ServeSpec.model_validate({"concurrency": written})


def test_the_least_and_the_most_of_a_single_number_are_the_same() -> None:
    assert Range(4, 4).is_fixed
    assert not Range(0, 4).is_fixed


@pytest.mark.parametrize("written", [4, "auto", {"min": 0, "max": 4}, {"min": 1, "max": "per_gpu"}])
def test_what_is_written_down_is_read_again(written: object) -> None:
    serve = ServeSpec.model_validate({"workers": written})

    assert ServeSpec.model_validate(json.loads(serve.model_dump_json())) == serve
    assert ServeSpec.model_validate(serve.model_dump()) == serve


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (0, "nothing would ever run"),
        ({"min": 0, "max": 0}, "nothing would ever run"),
        (-1, "at least 0"),
        (100_000, "more than 1000 would only"),
        ({"min": 3, "max": 2}, r"min \(3\) is more than max \(2\)"),
        ({"min": 1}, "a range with min and max"),
        ({"min": 1, "max": 2, "maximum": 3}, "a range with min and max"),
        ("many", "auto, per_gpu"),
        (1.5, "whole number"),
        (True, "whole number"),
        (None, "whole number"),
        ({"min": [], "max": 2}, "whole number"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(written: object, expected: str) -> None:
    with pytest.raises(ValidationError, match=expected) as caught:
        ServeSpec.model_validate({"workers": written})

    [error] = caught.value.errors()
    assert error["loc"] == ("workers",)
    assert error.get("ctx", {}).get("remedy")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("target_latency", "0s"),
        ("recycle", {"max_predictions": 0}),
        ("recycle", {"max_age": 0}),
        ("recycle", {"memory_limit": "10MB"}),
        ("scaling", {"target_wait": "-1s"}),
        ("scaling", {"idle_timeout": 0}),
        ("gpus_per_worker", 0),
        ("gpus_per_worker", 1.5),
        ("gpus_per_worker", -1),
    ],
)
def test_nonsensical_limits_are_refused(field: str, value: object) -> None:
    with pytest.raises(ValidationError):
        ServeSpec.model_validate({field: value})
