"""One result as a line of JSON."""

from typing import Annotated, Any, Final

import msgspec

from servekit.errors import UsageError
from servekit.jobs import FailureKind, RowResult

__all__ = ["KnownResult", "ResultLine", "encode_result", "read_known"]

_OF_SERVERS: Final = frozenset({"queue_time", "time_to_first_output"})
_LOG_CHARACTERS: Final = 10_000
"""How much of what a failed row printed is kept, from its end. By feel: a traceback and what came before it."""


class ResultLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known of a row when it has been run.

    Attributes:
        row: Its number, counted from 1.
        status: How it ended.
        place: Where it stands in the input, if it failed.
        input: What the predictor was given.
        output: What it gave; absent if it failed.
        error: Why it failed.
        kind: The same as a word.
        logs: What it printed, if it failed.
        metrics: What the predictor recorded, and how long it took.
        attempts: How often it was started.
        seconds: How long that took, pauses between attempts included.
    """

    row: int
    status: str
    place: str = ""
    input: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    output: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    error: str | None = None
    kind: str | None = None
    logs: str = ""
    metrics: dict[str, Any] = {}
    attempts: int = 1
    seconds: float = 0.0


class KnownResult(msgspec.Struct, frozen=True, gc=False):
    """What `--resume` wants to know of a result."""

    row: Annotated[int, msgspec.Meta(ge=1)]
    status: str

    @property
    def has_succeeded(self) -> bool:
        """Whether there is an output."""
        return self.status == "succeeded"


_encoder: Final = msgspec.json.Encoder()
_known: Final = msgspec.json.Decoder(KnownResult)


def encode_result(result: RowResult, shown_input: bytes | None, raw_output: bytes) -> bytes:
    """Write a result as a line.

    Args:
        result: What became of the row.
        shown_input: The input without secrets, as JSON; None to leave it out.
        raw_output: The output as it is kept, with the paths of files.
    """
    has_failed = not result.is_success
    line = ResultLine(
        result.number,
        result.status.value,
        place=result.row.place if has_failed else "",
        input=msgspec.UNSET if shown_input is None else msgspec.Raw(shown_input),
        output=msgspec.UNSET if has_failed else msgspec.Raw(raw_output),
        error=result.error,
        kind=_name_kind(result.kind),
        logs=result.logs[-_LOG_CHARACTERS:] if has_failed else "",
        metrics=_choose_metrics(result.metrics),
        attempts=result.attempts,
        seconds=round(result.seconds, 6),
    )
    return _encoder.encode(line) + b"\n"


def read_known(line: bytes, name: str, number: int) -> KnownResult:
    """Read what `--resume` wants to know of a line.

    Raises:
        UsageError: It is no result.
    """
    try:
        return _known.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise UsageError(
            f"{name} has a line {number} that is no result of servekit batch.\n"
            "Name another file with -o, or let it be replaced with --force."
        ) from None


def _choose_metrics(metrics: dict[str, Any]) -> dict[str, Any]:
    """Leave out what is of interest to those who run servers."""
    chosen = {name: value for name, value in metrics.items() if name not in _OF_SERVERS}
    if isinstance(seconds := chosen.get("predict_time"), float):
        chosen["predict_time"] = round(seconds, 6)
    return chosen


def _name_kind(kind: FailureKind | None) -> str | None:
    return None if kind is None else kind.value
