"""Every error that servekit raises on purpose.

Each class carries what the borders need: the exit code for the command line and the HTTP status for
the server. A message says what happened, what was expected, and how to mend it.
"""

from typing import Any, ClassVar

__all__ = [
    "BusyError",
    "CallerLimitError",
    "CancelationError",
    "ContainerError",
    "EngineError",
    "EnvironmentBuildError",
    "FileFetchError",
    "ImageBuildError",
    "ImageError",
    "InputError",
    "ItemStoppedError",
    "ItemTimeoutError",
    "ListenError",
    "NoScopeError",
    "NotReadyError",
    "OutputError",
    "ParallelError",
    "PredictionFailedError",
    "PredictorError",
    "ReceiverBusyError",
    "ServekitError",
    "SettingsError",
    "SetupError",
    "SignatureError",
    "SpecError",
    "StreamLimitError",
    "UnreachableError",
    "UploadError",
    "UsageError",
    "WeightsError",
    "WorkerDiedError",
]


class ServekitError(Exception):
    """Base of all errors of servekit.

    Attributes:
        exit_code: What the command line exits with when this error ends it.
        http_status: What the server answers when this error ends a request.
    """

    exit_code: ClassVar[int] = 1
    http_status: ClassVar[int] = 500


class UsageError(ServekitError):
    """The command was called in a way that cannot work."""

    exit_code = 2
    http_status = 400


class SpecError(ServekitError):
    """The spec file cannot be used; the message names file, line and field of every fault."""

    exit_code = 3


class PredictorError(ServekitError):
    """The predictor that the spec names cannot be loaded: no such file, class, function or method."""

    exit_code = 4


class SignatureError(PredictorError):
    """A predictor's annotations cannot be turned into a schema."""


class SetupError(ServekitError):
    """The predictor's `setup` raised, exited or took too long, or its module could not be imported."""

    exit_code = 5
    http_status = 503


class SettingsError(ServekitError):
    """A class of settings cannot be used, or a value does not fit it; or a prediction called `configure`."""


class EnvironmentBuildError(ServekitError):
    """The Python environment that a spec asks for could not be made."""

    exit_code = 6


class InputError(ServekitError):
    """An input does not fit the predictor's signature.

    Attributes:
        problems: One entry per fault: `loc` (path from "input" down), `msg` (what was expected),
            `type` (a stable word for programs) and `value` (what was given, shortened).

    Args:
        problems: As above.
        text: The message, for readers of another kind; else the problems are listed.
    """

    exit_code = 2
    http_status = 422

    def __init__(self, problems: list[dict[str, Any]], text: str | None = None) -> None:
        self.problems = problems
        listed = "; ".join(f"{'.'.join(str(part) for part in p['loc'])}: {p['msg']}" for p in problems)
        super().__init__(listed if text is None else text)


class OutputError(ServekitError):
    """What a predictor returned or yielded does not fit its annotation or cannot be written as JSON."""


class FileFetchError(ServekitError):
    """A file named by an input could not be fetched, or is not allowed to be."""

    http_status = 422


class UploadError(ServekitError):
    """A file of an output could not be sent to where `serve.upload.url` says."""


class PredictionFailedError(ServekitError):
    """A prediction ended as failed; the message is its error."""


class BusyError(ServekitError):
    """All slots are taken and the queue is full.

    Attributes:
        retry_after_seconds: When it makes sense to try again.
    """

    exit_code = 7
    http_status = 503

    def __init__(self, message: str, retry_after_seconds: int) -> None:
        self.retry_after_seconds = retry_after_seconds
        super().__init__(message)


class CallerLimitError(BusyError):
    """A caller has as many predictions running and waiting as one may."""

    http_status = 429


class ReceiverBusyError(BusyError):
    """Too many webhooks wait to be taken by one receiver."""


class StreamLimitError(BusyError):
    """One prediction is streamed to as many clients as it may be."""

    http_status = 429


class NotReadyError(ServekitError):
    """No worker takes predictions: setup is not done, has failed, or the server is going away."""

    exit_code = 5
    http_status = 503


class WorkerDiedError(ServekitError):
    """A worker process ended during a prediction; the message names exit code or signal and the likely cause.

    One that ends before it takes predictions is a `SetupError`.
    """

    exit_code = 8


class ListenError(ServekitError):
    """The server cannot listen where it was told to: the port is taken, or the address is not this machine's."""

    exit_code = 9


class EngineError(ServekitError):
    """The engine that builds and runs images cannot be reached, or went away."""

    exit_code = 10


class ImageBuildError(ServekitError):
    """An image could not be built; the message names the step that failed and shows what it printed."""

    exit_code = 11


class ImageError(ServekitError):
    """An image is not there, was not built by servekit, or could not be pushed or pulled."""

    exit_code = 12


class ContainerError(ServekitError):
    """A container could not be started, or ended before its work was done."""

    exit_code = 13


class WeightsError(ServekitError):
    """Weights that a spec names are not there, cannot be fetched, or are not what their hash says."""

    exit_code = 14


class UnreachableError(ServekitError):
    """A server that rows are to be sent to cannot be reached, or went away."""

    exit_code = 16
    http_status = 502


class NoScopeError(ServekitError):
    """`current_scope()` was called where no prediction runs."""


class ItemTimeoutError(ServekitError, TimeoutError):
    """One item of `parallel` took longer than its `timeout`."""

    http_status = 504


class ItemStoppedError(ServekitError):
    """One item of `parallel` was stopped, or never began, because the whole call ended early."""


class ParallelError(ServekitError):
    """`parallel` ended early: too many items failed, or calls that timed out hold all its threads.

    Attributes:
        results: What became of the items that were taken from the input, in their order: the result, the exception of
            one that failed, an `ItemStoppedError` for one that was not brought to its end. From `aparallel`
            only those that its consumer has not got.
        done: How many items have a result.
        failed: How many items failed.
        not_started: How many were not taken from the input, or None where the input has no length.
    """

    def __init__(self, message: str) -> None:
        self.results: list[Any] = []
        self.done = 0
        self.failed = 0
        self.not_started: int | None = None
        super().__init__(message)


class CancelationError(BaseException):
    """Raised inside a sync `predict` when its prediction is canceled or runs out of time.

    It is a `BaseException`, so that `except Exception` in a model does not swallow it. Let it pass
    (clean up in `finally`), and the prediction ends as canceled.
    """
