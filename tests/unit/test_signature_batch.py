"""A signature with batches: what one prediction takes and gives."""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Annotated, Any

import pytest

from servekit import Batch, ConcatenateIterator, Input
from servekit.errors import SignatureError
from servekit.signature import inspect_signature


def values(text: Batch[str], top_k: Batch[int] = Input(default=5, ge=1)) -> Batch[float]:
    raise NotImplementedError


def annotated(text: Annotated[Batch[str], Input(description="what to read")]) -> Batch[str]:
    raise NotImplementedError


def bare(text: Batch[Any]) -> Batch[Any]:
    raise NotImplementedError


def untold(text: Batch[str]):  # type: ignore[no-untyped-def]  # noqa: ANN201
    raise NotImplementedError


def steps(text: Batch[str]) -> Iterator[Batch[int]]:
    raise NotImplementedError


async def async_steps(text: Batch[str]) -> AsyncIterator[Batch[int]]:
    yield [0 for _ in text]


def chunks(text: Batch[str]) -> ConcatenateIterator[Batch[str]]:
    raise NotImplementedError


def alone(text: str) -> str:
    raise NotImplementedError


def read(predict: Callable[..., Any]) -> Any:
    return inspect_signature(predict, "predict.py:predict")


def test_the_schema_is_that_of_one_prediction() -> None:
    signature = read(values)

    assert signature.is_batched
    assert signature.input_names == ["text", "top_k"]
    assert signature.input_schema["properties"]["text"] == {"title": "Text", "type": "string", "x-order": 0}
    assert signature.input_schema["properties"]["top_k"]["minimum"] == 1
    assert signature.output_schema == {"title": "Output", "type": "number"}


@pytest.mark.parametrize(
    ("predict", "streams", "output"),
    [
        (annotated, False, {"type": "string"}),
        (bare, False, {}),
        (untold, False, {}),
        (steps, True, {"type": "array", "items": {"type": "integer"}}),
        (async_steps, True, {"type": "array", "items": {"type": "integer"}}),
        (chunks, True, {"type": "array", "items": {"type": "string"}, "x-servekit-display": "concatenate"}),
    ],
)
def test_every_way_to_write_a_batch_is_understood(
    predict: Callable[..., Any], streams: bool, output: dict[str, Any]
) -> None:
    signature = read(predict)

    assert (signature.is_batched, signature.streams) == (True, streams)
    assert output.items() <= signature.output_schema.items()


def test_without_a_batch_it_is_none() -> None:
    assert not read(alone).is_batched


def mixed(text: Batch[str], top_k: int) -> Batch[str]:
    raise NotImplementedError


def list_out(text: Batch[str]) -> dict[str, str]:
    raise NotImplementedError


def steps_of_single(text: Batch[str]) -> Iterator[str]:
    raise NotImplementedError


def batch_out_only(text: str) -> Batch[str]:
    raise NotImplementedError


@pytest.mark.parametrize(
    ("predict", "message"),
    [
        (mixed, r"parameter `top_k` is annotated int, and `text` is a Batch; write `top_k: Batch\[int\]`"),
        (list_out, r"its output is annotated dict\[str, str\]; write `-> Batch\[str\]`"),
        (steps_of_single, r"its output is annotated collections.abc.Iterator\[str\]; write `-> Batch"),
        (batch_out_only, r"its output is Batch\[str\], and no parameter is a Batch; write `text: Batch\[str\]`"),
    ],
)
def test_half_a_batch_is_refused_with_its_remedy(predict: Callable[..., Any], message: str) -> None:
    with pytest.raises(SignatureError, match=message):
        read(predict)
