"""What a batch says of each of its inputs: JSON text of one line, with the place of the input in the request."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from servekit.errors import InputError
from servekit.runtime.prediction import Prediction, Status

__all__ = ["Result", "show_early_end", "show_misfit", "show_prediction"]


@dataclass(frozen=True, slots=True)
class Result:
    """What became of an input.

    Attributes:
        status: How it ended.
        text: The same, and all else there is to say, as JSON.
    """

    status: Status
    text: bytes


class _Unmade(msgspec.Struct):
    """The result of an input of which no prediction was made, with keys that every result has, and its problems."""

    index: int
    id: None
    status: Status
    output: None
    error: str
    detail: Sequence[dict[str, Any]] | msgspec.UnsetType = msgspec.UNSET


def show_prediction(index: int, prediction: Prediction) -> Result:
    """Return the result of an input whose prediction has ended: its answer, or what its worker found wrong with it."""
    if prediction.problems is not None:
        return show_misfit(index, InputError(msgspec.json.decode(prediction.problems)))
    # The input in it is the client's own text, which may have line breaks between its values.
    answer = prediction.snapshot().replace(b"\n", b" ").replace(b"\r", b" ")
    return Result(prediction.status, b'{"index":%d,%b' % (index, answer[1:]))


def show_misfit(index: int, error: InputError) -> Result:
    """Return the result of an input that does not fit, with its problems in the form of a 422."""
    problems = [{**each, "loc": _place(each["loc"], index)} for each in error.problems]
    return _show(_Unmade(index, None, Status.FAILED, None, str(error), detail=problems))


def _place(loc: Sequence[str | int], index: int) -> list[str | int]:
    """Return where a problem is in the body; that of a setting is in the context, which is the same for all."""
    return ["body", "inputs", index, *loc[1:]] if loc[0] == "input" else ["body", *loc]


def show_early_end(index: int, status: Status, error: str) -> Result:
    """Return the result of an input that was not begun, because the request came to its end before."""
    return _show(_Unmade(index, None, status, None, error))


def _show(unmade: _Unmade) -> Result:
    return Result(unmade.status, msgspec.json.encode(unmade))
