"""Percentiles and series in bounded memory, and what a tally says."""

import random

import msgspec
import pytest

from servekit.jobs.histogram import Histogram
from servekit.jobs.rows import FailureKind, Outcome, Row, RowResult
from servekit.jobs.series import Series
from servekit.jobs.tally import Summary, Tally
from servekit.runtime.prediction import Status

DONE = Outcome(Status.SUCCEEDED, b"1")


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def result(number: int = 1, outcome: Outcome = DONE, attempts: int = 1, seconds: float = 0.5) -> RowResult:
    return RowResult(Row(number), outcome, attempts, seconds)


# ---------------------------------------------------------------------- histogram


def test_percentiles_are_within_one_percent() -> None:
    chance = random.Random(1)
    values = sorted(chance.lognormvariate(-3, 2) for _ in range(1_000))
    histogram = Histogram()
    for value in values:
        histogram.add(value)

    for percent in (1, 50, 90, 99, 99.9):
        exact = values[round(10 * percent) - 1]
        assert histogram.percentile(percent) == pytest.approx(exact, rel=0.0101)


def test_a_single_value_is_every_percentile() -> None:
    histogram = Histogram()
    histogram.add(0.25)

    assert (histogram.percentile(1), histogram.percentile(99), histogram.mean) == (0.25, 0.25, 0.25)


def test_of_nothing_there_is_no_percentile_and_no_mean() -> None:
    assert (Histogram().percentile(50), Histogram().mean) == (None, None)


def test_values_beyond_all_measure_take_no_room() -> None:
    histogram = Histogram()
    for power in range(-300, 300):
        histogram.add(10.0**power)
    histogram.add(0.0)

    assert len(histogram._buckets) < 30
    assert histogram.percentile(100) == pytest.approx(1e6, rel=0.01)


def test_the_spread_counts_every_value_below_a_bound() -> None:
    histogram = Histogram()
    for value in (0.001, 0.0011, 0.5, 0.5, 70.0):
        histogram.add(value)

    spread = histogram.spread()

    assert sum(count for _, count in spread) == 5
    assert [bound for bound, _ in spread] == sorted(bound for bound, _ in spread)
    assert spread[-1][0] == pytest.approx(70.0, rel=0.3)


# ---------------------------------------------------------------------- series


def test_things_are_counted_in_the_second_they_happen() -> None:
    series = Series()
    for seconds in (0.1, 0.9, 2.5):
        series.add(seconds)

    assert (series.interval_seconds, series.counts) == (1.0, [2, 0, 1])


def test_a_long_time_is_told_in_wider_intervals_and_loses_nothing() -> None:
    series = Series()
    for second in range(10_000):
        series.add(float(second))

    assert (series.interval_seconds, sum(series.counts)) == (64.0, 10_000)
    assert set(series.counts[:-1]) == {64}


# ---------------------------------------------------------------------- tally


def test_a_tally_counts_by_status_kind_and_attempts() -> None:
    tally = Tally()
    tally.add(result(1))
    tally.add(result(2, attempts=3))
    tally.add(result(3, Outcome.failure(FailureKind.MODEL, "ValueError: no\nmore"), attempts=2))
    tally.add(result(4, Outcome.failure(FailureKind.ROW, "not JSON"), attempts=0))
    tally.add(result(5, Outcome(Status.CANCELED, error="canceled", kind=FailureKind.CANCELED)))

    summary = tally.summary()

    assert (summary.rows, summary.succeeded, summary.failed, summary.canceled) == (5, 2, 2, 1)
    assert (summary.attempts, summary.retried) == (7, 2)
    assert summary.failures == {"model": 1, "row": 1, "canceled": 1}
    assert [(each.kind, each.error, each.first_row) for each in summary.errors][:2] == [
        ("model", "ValueError: no", 3),
        ("row", "not JSON", 4),
    ]


def test_errors_of_any_number_are_told_apart_up_to_a_bound() -> None:
    tally = Tally()
    for number in range(1, 1_001):
        tally.add(result(number, Outcome.failure(FailureKind.MODEL, f"ValueError: {number}")))

    errors = tally.summary().errors

    assert len(errors) == 101
    assert (errors[-1].kind, errors[-1].count, errors[-1].first_row) == ("other", 900, 101)


def test_rows_that_never_ran_have_no_duration() -> None:
    tally = Tally()
    tally.add(result(1, Outcome.failure(FailureKind.ROW, "not JSON"), attempts=0, seconds=0.0))

    assert tally.summary().durations.max is None


def test_throughput_is_told_over_time_with_its_failures() -> None:
    clock = Clock()
    tally = Tally(clock)
    for second in range(300):
        clock.now = 100.0 + second
        tally.add(result(second, DONE if second % 2 else Outcome.failure(FailureKind.MODEL, "no")))

    summary = tally.summary()

    assert summary.elapsed_seconds == 299.0
    assert summary.rows_per_second == pytest.approx(300 / 299)
    assert summary.throughput.interval_seconds == 2.0
    assert (set(summary.throughput.ended), set(summary.throughput.failed)) == ({2}, {1})


def test_a_summary_is_json_and_comes_back_from_it() -> None:
    tally = Tally()
    tally.add(result())
    summary = tally.summary()

    assert msgspec.json.decode(msgspec.json.encode(summary), type=Summary) == summary
