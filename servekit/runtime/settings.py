"""What a worker is told when it starts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self

import msgspec

from servekit.runtime.batching.policy import BatchLimits
from servekit.runtime.files import FetchLimits
from servekit.runtime.uploading.target import UploadTarget
from servekit.spec import Dialect, Mode, Spec, UploadSpec

__all__ = ["SETTINGS_VARIABLE", "WorkerSettings"]

SETTINGS_VARIABLE: Final = "SERVEKIT_WORKER_SETTINGS"
"""How they reach a process: on its command line all users of the machine could read the URL for uploads."""


class WorkerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything of the spec that concerns a worker; it fits into a variable as JSON.

    Attributes:
        dialect: Whose rules the predictor follows.
        mode: Whether it predicts or trains.
        predictor: The reference, such as "predict.py:Predictor".
        root: The project's folder.
        directory: Where the predictions' temporary files go, each in a folder named by its key.
        concurrency: How many predictions may run at a time, at most; or how many batches, where it takes these.
        adapts_concurrency: That is the upper end of a range.
        batch: What batches may be.
        max_output: Bytes of JSON that one prediction may give.
        max_logs: Bytes of text that one prediction may print.
        cancel_grace: Seconds that canceled predictions have before `teardown`.
        healthcheck_timeout: Seconds that `healthcheck` may take.
        fetch: Limits for files that inputs name.
        upload: Where the files of outputs go; None for into the answer.
        values: What the spec says of the author's own settings.
        configured: What the program has configured of them, as `Configure` has it; None if nothing.
        configured_at_opening: The version of what was configured when the worker's pool was opened.
    """

    dialect: Dialect
    mode: Mode
    predictor: str
    root: str
    directory: str
    concurrency: int
    adapts_concurrency: bool
    batch: BatchLimits
    max_output: int
    max_logs: int
    cancel_grace: float
    healthcheck_timeout: float
    fetch: FetchLimits
    upload: UploadTarget | None
    values: Mapping[str, Any] = {}
    configured: bytes | None = None
    configured_at_opening: int = 0

    @classmethod
    def from_spec(cls, spec: Spec, directory: Path) -> Self:
        """Pick what concerns a worker out of a spec."""
        serve = spec.serve
        return cls(
            dialect=spec.dialect,
            mode=spec.mode,
            predictor=spec.predictor,
            root=str(spec.root),
            directory=str(directory),
            concurrency=serve.concurrency.max,
            adapts_concurrency=not serve.concurrency.is_fixed,
            batch=BatchLimits(
                max_size=serve.batch.max_size,
                max_wait=serve.batch.max_wait,
                max_cost=serve.batch.max_cost,
                target_latency=serve.batch.target_latency,
            ),
            max_output=serve.max_output,
            max_logs=serve.max_logs,
            cancel_grace=serve.cancel_grace,
            healthcheck_timeout=serve.healthcheck_timeout,
            fetch=FetchLimits(
                max_bytes=serve.fetch.max_size,
                timeout_seconds=serve.fetch.timeout,
                max_redirects=serve.fetch.redirects,
                allow_private=serve.fetch.allow_private,
            ),
            upload=_read_upload(serve.upload),
            values=spec.settings,
        )


def _read_upload(upload: UploadSpec) -> UploadTarget | None:
    return None if upload.url is None else UploadTarget(upload.url, upload.timeout, upload.retries)
