"""What a batch job has done so far, as numbers: bounded, however many rows there are."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import msgspec

from servekit.jobs.histogram import Histogram
from servekit.jobs.rows import FailureKind, RowResult
from servekit.jobs.series import Series
from servekit.runtime.prediction import Status

__all__ = ["Durations", "ErrorCount", "Summary", "Tally", "Throughput"]


class Durations(msgspec.Struct, frozen=True):
    """How long rows took, in seconds; percentiles within 1 %. None as long as there are none.

    Attributes:
        spread: How many rows took how long at most, and longer than the entry before; ten steps for a factor of ten.
    """

    mean: float | None
    min: float | None
    p50: float | None
    p90: float | None
    p95: float | None
    p99: float | None
    max: float | None
    spread: list[tuple[float, int]]


class ErrorCount(msgspec.Struct, frozen=True):
    """An error, and how many rows ended with it.

    Attributes:
        kind: What kind of error it is; "other" for all that there was no place for.
        error: The first line of it.
        count: How many rows.
        first_row: The number of the first of them.
    """

    kind: str
    error: str
    count: int
    first_row: int


class Throughput(msgspec.Struct, frozen=True):
    """How many rows ended in each interval since the start.

    Attributes:
        interval_seconds: How long each is.
        ended: Rows that ended in it, whatever their status.
        failed: Those among them that did not succeed.
    """

    interval_seconds: float
    ended: list[int]
    failed: list[int]


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What a job has done; `msgspec.json.encode` writes it.

    Attributes:
        rows: How many have ended.
        succeeded: How many with an output.
        failed: How many without.
        canceled: How many were canceled.
        attempts: How often rows were started.
        retried: How many rows were started more than once.
        failures: How many did not succeed, by kind.
        errors: The errors, the most frequent first.
        durations: From the start of a row's first attempt to its end, of rows that were started.
        throughput: Rows over time.
        rows_per_second: Over the whole time.
        started_at: When it began.
        ended_at: When the last row ended, or the job.
        elapsed_seconds: The time between.
    """

    rows: int
    succeeded: int
    failed: int
    canceled: int
    attempts: int
    retried: int
    failures: dict[str, int]
    errors: list[ErrorCount]
    durations: Durations
    throughput: Throughput
    rows_per_second: float
    started_at: datetime
    ended_at: datetime
    elapsed_seconds: float


class Tally:
    """Counts results.

    Args:
        clock: A monotonic clock, in seconds.

    Attributes:
        rows: How many results there were.
        succeeded: How many of them with an output.
        failed: How many without.
        canceled: How many canceled.
        attempts: How often rows were started.
        retried: How many rows were started more than once.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.rows = self.succeeded = self.failed = self.canceled = self.attempts = self.retried = 0
        self._clock = clock
        self._started_at = datetime.now(UTC)
        self._start = self._latest = clock()
        self._kinds: dict[FailureKind, int] = {}
        self._errors: dict[tuple[FailureKind, str], list[int]] = {}
        self._other = [0, 0]
        self._durations = Histogram()
        self._ended = Series()
        self._unsuccessful = Series()

    def begin(self) -> None:
        """Time counts from now on, and not from when this was made."""
        self._started_at = datetime.now(UTC)
        self._start = self._latest = self._clock()

    @property
    def elapsed_seconds(self) -> float:
        """How long the job runs by now."""
        return self._clock() - self._start

    def add(self, result: RowResult) -> None:
        """Count a result."""
        self._latest = self._clock()
        seconds = self._latest - self._start
        self.rows += 1
        self.attempts += result.attempts
        self.retried += result.attempts > 1
        self._ended.add(seconds)
        if result.attempts:
            self._durations.add(result.seconds)
        if result.is_success:
            self.succeeded += 1
        else:
            self._add_failure(result, seconds)

    def summary(self) -> Summary:
        """Return what there is by now."""
        elapsed = self._latest - self._start
        return Summary(
            rows=self.rows,
            succeeded=self.succeeded,
            failed=self.failed,
            canceled=self.canceled,
            attempts=self.attempts,
            retried=self.retried,
            failures={kind.value: count for kind, count in self._kinds.items()},
            errors=self._count_errors(),
            durations=_summarize(self._durations),
            throughput=self._list_throughput(),
            rows_per_second=self.rows / elapsed if elapsed > 0 else 0.0,
            started_at=self._started_at,
            ended_at=datetime.fromtimestamp(self._started_at.timestamp() + elapsed, UTC),
            elapsed_seconds=elapsed,
        )

    def _add_failure(self, result: RowResult, seconds: float) -> None:
        if result.status is Status.CANCELED:
            self.canceled += 1
        else:
            self.failed += 1
        self._unsuccessful.add(seconds)
        kind = result.kind or FailureKind.MODEL
        self._kinds[kind] = self._kinds.get(kind, 0) + 1
        key = (kind, (result.error or "").partition("\n")[0][:_MOST_TEXT])
        entry = self._errors.get(key)
        if entry is None:
            entry = (
                self._errors.setdefault(key, [0, result.number]) if len(self._errors) < _MOST_ERRORS else self._other
            )
        entry[0] += 1
        entry[1] = entry[1] or result.number

    def _count_errors(self) -> list[ErrorCount]:
        counts = [ErrorCount(kind.value, text, *entry) for (kind, text), entry in self._errors.items()]
        counts.sort(key=lambda each: -each.count)
        if self._other[0]:
            counts.append(ErrorCount("other", "errors that differ from all of these", *self._other))
        return counts

    def _list_throughput(self) -> Throughput:
        self._unsuccessful.widen(self._ended.interval_seconds)
        ended, failed = self._ended.counts, self._unsuccessful.counts
        return Throughput(self._ended.interval_seconds, list(ended), failed + [0] * (len(ended) - len(failed)))


def _summarize(durations: Histogram) -> Durations:
    is_empty = not durations.count
    return Durations(
        mean=durations.mean,
        min=None if is_empty else durations.least,
        p50=durations.percentile(50),
        p90=durations.percentile(90),
        p95=durations.percentile(95),
        p99=durations.percentile(99),
        max=None if is_empty else durations.greatest,
        spread=durations.spread(),
    )


_MOST_ERRORS: Final = 100
_MOST_TEXT: Final = 200
"""How many different errors are told apart, and by how much of their first line."""
