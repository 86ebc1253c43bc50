"""What a batched `predict` gave, told apart by prediction."""

from collections.abc import Sequence
from typing import Any

from servekit.errors import OutputError

__all__ = ["read_entries"]


def read_entries(result: Any, count: int, verb: str) -> list[Any]:
    """Return one entry for each prediction of a batch.

    Only what has an order of its own is taken: the keys of a mapping, or the letters of a text, are as many as the
    predictions now and then, and would be handed out as their results.

    Args:
        result: What `predict` gave.
        count: How many predictions there are.
        verb: How it was given: "returned" or "yielded".

    Raises:
        OutputError: It is no list, or not of this length.
    """
    is_array = hasattr(result, "shape") and hasattr(result, "__getitem__") and not hasattr(result, "iloc")
    if not is_array and (not isinstance(result, Sequence) or isinstance(result, str | bytes | bytearray)):
        raise OutputError(
            f"predict {verb} {_describe(result)} for a batch of {count}; it must be a list with one value for each "
            "prediction, in the order of the inputs"
        )
    length = len(result) if not is_array or result.shape else 0
    if length != count:
        raise OutputError(
            f"predict {verb} {length} value{'s' * (length != 1)} for a batch of {count}; it must be one for each "
            "prediction, in the order of the inputs"
        )
    try:
        return [result[index] for index in range(count)]
    except Exception as error:
        message = f"what predict {verb}, {_describe(result)}, could not be told apart by prediction: {error!r}"
        raise OutputError(message) from error


def _describe(result: Any) -> str:
    return "None" if result is None else f"a {type(result).__name__}"
