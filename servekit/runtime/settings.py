"""What a worker is told when it starts."""

import msgspec

from servekit.runtime.files import FetchLimits

__all__ = ["WorkerSettings"]


class WorkerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything of the spec that concerns a worker; it fits on a command line as JSON.

    Attributes:
        predictor: The reference, such as "predict.py:Predictor".
        root: The project's folder.
        directory: Where the predictions' temporary files go, each in a folder named by its key.
        concurrency: How many predictions may run at a time.
        max_output: Bytes of JSON that one prediction may give.
        max_logs: Bytes of text that one prediction may print.
        healthcheck_timeout: Seconds that `healthcheck` may take.
        fetch: Limits for files that inputs name.
    """

    predictor: str
    root: str
    directory: str
    concurrency: int
    max_output: int
    max_logs: int
    healthcheck_timeout: float
    fetch: FetchLimits
