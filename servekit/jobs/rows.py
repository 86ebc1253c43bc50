"""What goes into a batch job and what comes out of it: rows and their results."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec

from servekit.errors import InputError, PredictionFailedError
from servekit.jsonable import INLINE, JsonWriter
from servekit.output_files import FileMetError
from servekit.runtime.prediction import Status

__all__ = ["FailureKind", "Outcome", "Row", "RowResult", "make_row"]


class FailureKind(StrEnum):
    """Why a row did not succeed, as reports count it and as retries are decided by.

    Attributes:
        ROW: It could not be read, and was not run.
        INPUT: Its input does not fit the predictor.
        MODEL: The predictor raised, or gave what does not fit its signature.
        TIMEOUT: It took longer than it may.
        WORKER_DIED: The process that ran it ended.
        BUSY: It was refused for now: too many at once, or no worker is ready.
        CONNECTION: The server could not be reached, or the connection broke.
        SERVER: The server answered with an error of its own.
        REFUSED: The server does not want the request, and would not want it again: no access, no such place.
        CANCELED: Somebody canceled it.
    """

    ROW = "row"
    INPUT = "input"
    MODEL = "model"
    TIMEOUT = "timeout"
    WORKER_DIED = "worker_died"
    BUSY = "busy"
    CONNECTION = "connection"
    SERVER = "server"
    REFUSED = "refused"
    CANCELED = "canceled"


class Row(msgspec.Struct, frozen=True, gc=False):
    """One input of a batch job.

    Attributes:
        number: Its place among the rows, counted from 1.
        raw_input: The inputs by name, as a JSON object.
        place: Where it was read, for messages, such as "inputs.jsonl:17".
        fault: Why it could not be read. Such a row is not run; it fails with this text.
        fault_kind: The same as a word: `ROW`, or `INPUT` if it was read and does not fit.
        uploads: The local file of each upload token in `raw_input`, for targets that can take files so.
        is_checked: Whether `raw_input` is known to fit the predictor's schema, so that it need not be checked again.
    """

    number: int
    raw_input: bytes = b"{}"
    place: str = ""
    fault: str | None = None
    fault_kind: FailureKind = FailureKind.ROW
    uploads: Mapping[str, str] = {}
    is_checked: bool = False

    @property
    def input(self) -> Any:
        """The inputs by name."""
        return msgspec.json.decode(self.raw_input)


class Outcome(msgspec.Struct, frozen=True):
    """How one attempt at a row ended, as a target tells it.

    Attributes:
        status: A final status.
        raw_output: The output as JSON; what there is of it if it failed.
        error: Why it did not succeed.
        kind: The same as a word; None if it did.
        problems: What is wrong with the input, as `InputError` has it.
        metrics: What was measured and recorded.
        logs: What it printed.
        retry_after: Seconds after which another attempt makes sense, where that was told.
    """

    status: Status
    raw_output: bytes = b"null"
    error: str | None = None
    kind: FailureKind | None = None
    problems: list[dict[str, Any]] | None = None
    metrics: dict[str, Any] = {}
    logs: str = ""
    retry_after: float | None = None

    @property
    def is_success(self) -> bool:
        """Whether there is an output to use."""
        return self.status is Status.SUCCEEDED

    @classmethod
    def failure(cls, kind: FailureKind, error: str, *, retry_after: float | None = None) -> "Outcome":
        """Return the outcome of an attempt that failed."""
        return cls(Status.FAILED, error=error, kind=kind, retry_after=retry_after)

    @classmethod
    def misfit(cls, error: InputError) -> "Outcome":
        """Return the outcome of a row whose input does not fit."""
        return cls(Status.FAILED, error=str(error), kind=FailureKind.INPUT, problems=error.problems)


class RowResult(msgspec.Struct, frozen=True):
    """What became of a row; one for each, whatever happened.

    Attributes:
        row: The row.
        outcome: How its last attempt ended.
        attempts: How often it was started; 0 if it could not be.
        seconds: From the start of the first attempt to the end of the last, pauses included.
    """

    row: Row
    outcome: Outcome
    attempts: int
    seconds: float

    @property
    def number(self) -> int:
        """The row's place among the rows, counted from 1."""
        return self.row.number

    @property
    def status(self) -> Status:
        """Succeeded, failed or canceled."""
        return self.outcome.status

    @property
    def is_success(self) -> bool:
        """Whether there is an output to use."""
        return self.outcome.is_success

    @property
    def input(self) -> Any:
        """The inputs by name."""
        return self.row.input

    @property
    def output(self) -> Any:
        """The output, as JSON has it: the value, or the list of items. None where there is none."""
        return msgspec.json.decode(self.outcome.raw_output)

    @property
    def raw_output(self) -> bytes:
        """The same as JSON text."""
        return self.outcome.raw_output

    @property
    def error(self) -> str | None:
        """Why it did not succeed."""
        return self.outcome.error

    @property
    def kind(self) -> FailureKind | None:
        """The same as a word."""
        return self.outcome.kind

    @property
    def metrics(self) -> dict[str, Any]:
        """What was measured and recorded."""
        return self.outcome.metrics

    @property
    def logs(self) -> str:
        """What the predictor printed."""
        return self.outcome.logs

    def unwrap(self) -> Any:
        """Return the output of a row that succeeded.

        Raises:
            InputError: The row's input does not fit the predictor.
            PredictionFailedError: It failed for another reason.
        """
        if self.is_success:
            return self.output
        if self.outcome.problems is not None:
            raise InputError(self.outcome.problems)
        raise PredictionFailedError(f"row {self.number}: {self.error}")


def make_row(number: int, given: Any, writer: JsonWriter = INLINE) -> Row:
    """Return what a user gave as a row. It may read files: with the usual writer never on an event loop.

    A value that is no row becomes one with a fault: the others go on.

    Args:
        number: Its place, for what has none of its own.
        given: A `Row`, or the inputs by name. Paths and open files are read into data URLs.
        writer: Says what stands for files.

    Raises:
        FileMetError: There is a file among them, and the writer has nothing that stands for it.
    """
    if isinstance(given, Row):
        return given
    if not isinstance(given, Mapping):
        fault = f"a row is an object with the inputs by name, such as {{'text': 'a'}}; got {type(given).__name__}"
        return Row(number, fault=fault)
    try:
        return Row(number, writer.encode({**given}))
    except FileMetError:
        raise
    except Exception as error:  # noqa: BLE001 - the user's own values; told as the result of this row
        return Row(number, fault=f"its inputs cannot be written as JSON: {error}")
