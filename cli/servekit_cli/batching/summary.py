"""The report at the end of a job, for people and for programs."""

from collections.abc import Iterator
from typing import Final

import msgspec

from servekit.jobs import Summary
from servekit_cli.batching.pace import describe_seconds

__all__ = ["Report", "describe_report", "describe_share", "join_intervals"]

_INTERVALS: Final = 10
_ERRORS: Final = 10
_BAR: Final = 30
_SHORTEST_SECONDS: Final = 0.001
_TAIL: Final = 0.25


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What a job did.

    Attributes:
        input: Where its rows came from.
        output: Where the results are.
        target: What ran the rows.
        stopped: Why it ended before its rows did; None if it did not.
        done_before: How many rows had a result when it began.
        failed_before: How many of these had failed.
        summary: What it did itself.
    """

    input: str
    output: str
    target: str
    stopped: str | None
    done_before: int
    failed_before: int
    summary: Summary

    @property
    def succeeded(self) -> int:
        """How many rows have an output, those done before included."""
        return self.done_before - self.failed_before + self.summary.succeeded

    @property
    def failed(self) -> int:
        """How many rows have none, those done before included."""
        return self.failed_before + self.summary.failed


def describe_report(report: Report) -> str:
    """Write a report as lines for a terminal."""
    return "\n".join(_describe(report))


def join_intervals(report: Report, most: int) -> Iterator[tuple[float, float, float, int]]:
    """Give throughput over time in at most so many intervals, all but the last one of one length.

    Yields:
        From when to when, in seconds since the start, the rows per second between them, and the failed rows.
    """
    series = report.summary.throughput
    elapsed = max(report.summary.elapsed_seconds, _SHORTEST_SECONDS)
    step = max(1, -(-len(series.ended) // most))
    length = step * series.interval_seconds
    bounds = [place * length for place in range(-(-len(series.ended) // step))]
    if len(bounds) > 1 and elapsed - bounds[-1] < length * _TAIL:
        bounds.pop()  # so short a time tells no rate; what ended in it counts for the interval before
    for place, begin in enumerate(bounds):
        is_last = place == len(bounds) - 1
        end = elapsed if is_last else begin + length
        part = slice(place * step, None if is_last else (place + 1) * step)
        yield begin, end, sum(series.ended[part]) / (end - begin), sum(series.failed[part])


def describe_share(part: int, whole: int) -> str:
    """Write a share in percent; a few failures of many never count as none."""
    if part in {0, whole}:
        return "100 %" if part else "0 %"
    return f"{min(max(100.0 * part / whole, 0.01), 99.99):.4g} %"


def _describe(report: Report) -> Iterator[str]:
    summary = report.summary
    if summary.rows or not report.done_before:
        yield _describe_counts(summary)
    if report.done_before:
        yield f"{report.done_before:,} rows were done before, {report.failed_before:,} of which had failed."
    durations = summary.durations
    if durations.p50 is not None:
        points = ("min", "p50", "p90", "p95", "p99", "max")
        yield "A row took: " + ", ".join(f"{name} {describe_seconds(getattr(durations, name))}" for name in points)
    intervals = list(join_intervals(report, _INTERVALS))
    if len(intervals) > 1:
        yield from _describe_intervals(intervals)
    if summary.errors:
        yield from _describe_errors(report)


def _describe_counts(summary: Summary) -> str:
    rows = f"{summary.rows:,} row{'s' * (summary.rows != 1)}"
    return (
        f"{rows} in {describe_seconds(summary.elapsed_seconds)}, {summary.rows_per_second:,.0f} rows/s: "
        f"{summary.succeeded:,} succeeded ({describe_share(summary.succeeded, summary.rows)}), "
        f"{summary.failed:,} failed" + (f", {summary.retried:,} took several attempts" if summary.retried else "")
    )


def _describe_intervals(intervals: list[tuple[float, float, float, int]]) -> Iterator[str]:
    yield "Throughput:"
    most = max(rate for _, _, rate, _ in intervals) or 1.0
    labels = [f"{describe_seconds(begin)} to {describe_seconds(end)}" for begin, end, _, _ in intervals]
    width = max(map(len, labels))
    for label, (_, _, rate, failed) in zip(labels, intervals, strict=True):
        bar = "#" * round(_BAR * rate / most)
        failures = f"  {failed:,} failed" if failed else ""
        yield f"  {label:>{width}}  {rate:>9,.1f} rows/s  {bar:<{_BAR}}{failures}".rstrip()


def _describe_errors(report: Report) -> Iterator[str]:
    errors = report.summary.errors
    yield "Errors:"
    for error in errors[:_ERRORS]:
        yield f"  {error.count:>7,}  {error.kind:<11}  {error.error} (first: row {error.first_row})"
    if len(errors) > _ERRORS:
        yield f"  and {len(errors) - _ERRORS} others"
