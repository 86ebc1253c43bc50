"""How a batch job is run."""

import dataclasses
import math
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final, Literal

from servekit.errors import UsageError
from servekit.jobs.pacing import parse_rate
from servekit.jobs.rows import FailureKind, Outcome, Row
from servekit.threads import RetryPolicy

__all__ = ["RETRYABLE", "AttemptError", "Concurrency", "JobOptions"]

Concurrency = int | Literal["auto"]

RETRYABLE: Final = frozenset({FailureKind.WORKER_DIED, FailureKind.BUSY, FailureKind.CONNECTION, FailureKind.SERVER})
"""What is worth another try when nothing else is said: what has not to do with the row."""


class AttemptError(Exception):
    """An attempt that failed, in the form in which a `RetryPolicy` is asked about it.

    Attributes:
        kind: What kind of failure it was.
        retry_after_seconds: The least pause that was asked for.
    """

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.error)
        self.kind = outcome.kind
        self.retry_after_seconds = outcome.retry_after or 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOptions:
    """The options of `run_batch`, which says what each means.

    Raises:
        UsageError: One of them has a value that it cannot have.
    """

    concurrency: Concurrency = "auto"
    timeout: float | None = None
    retries: int | RetryPolicy = 3
    retry_on: Collection[FailureKind] = RETRYABLE
    rate: str | float | None = None
    token_rate: str | float | None = None
    tokens: str | Callable[[Row], float] = "tokens"
    memory_limit: int | None = None
    ordered: bool = True

    def __post_init__(self) -> None:
        if self.concurrency != "auto" and not _is_count(self.concurrency):
            raise UsageError(f'concurrency is {self.concurrency!r}; it must be a whole number from 1, or "auto"')
        if self.timeout is not None and not (math.isfinite(self.timeout) and self.timeout > 0):
            raise UsageError(f"timeout is {self.timeout!r}; it must be a number of seconds above 0, or None")
        for rate in (self.rate, self.token_rate):
            if rate is not None:
                parse_rate(rate)
        if isinstance(self.retries, int) and self.retries < 0:
            raise UsageError(f"retries is {self.retries}; it must be 0 or more")
        if self.memory_limit is not None and self.memory_limit <= 0:
            raise UsageError(f"memory_limit is {self.memory_limit}; it must be a number of bytes above 0, or None")

    def policy(self) -> RetryPolicy:
        """Return when an attempt that failed is followed by another."""
        policy = RetryPolicy(self.retries) if isinstance(self.retries, int) else self.retries
        kinds = frozenset(self.retry_on)

        def is_worth_it(error: Exception) -> bool:
            return isinstance(error, AttemptError) and error.kind in kinds

        return dataclasses.replace(policy, on=is_worth_it)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
