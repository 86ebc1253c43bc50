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
    if not _has_order(result):
        raise OutputError(
            f"predict {verb} {_describe(result)} for a batch of {count}; it must be a list with one value for each "
            "prediction, in the order of the inputs"
        )
    try:
        length = len(result)
        entries = [result[index] for index in range(length)] if length == count else []
    except Exception as error:
        message = f"what predict {verb}, {_describe(result)}, could not be told apart by prediction: {error!r}"
        raise OutputError(message) from error
    if length != count:
        raise OutputError(
            f"predict {verb} {length} value{'s' * (length != 1)} for a batch of {count}; it must be one for each "
            "prediction, in the order of the inputs"
        )
    return entries


def _has_order(result: Any) -> bool:
    """Whether it is a list of some kind, or an array; a table of pandas goes by its labels."""
    if isinstance(result, Sequence):
        return not isinstance(result, str | bytes | bytearray)
    return hasattr(result, "shape") and not hasattr(result, "iloc")


def _describe(result: Any) -> str:
    return "None" if result is None else f"a {type(result).__name__}"
