"""How fast attempts may begin, on a clock that the test moves."""

import pytest

from servekit.errors import UsageError
from servekit.jobs.pacing import Pacer, TokenBucket, parse_rate
from servekit.jobs.rows import FailureKind, Outcome, Row
from servekit.runtime.prediction import Status

ROW = Row(1)


def used(tokens: object) -> Outcome:
    return Outcome(Status.SUCCEEDED, metrics={"tokens": tokens})


@pytest.mark.parametrize(
    ("text", "per_second"),
    [("100/s", 100.0), ("5000/min", 5000 / 60), ("1e6 / hour", 1e6 / 3600), ("2.5", 2.5), (7, 7.0), ("3/m", 0.05)],
)
def test_a_rate_is_a_number_and_a_unit_of_time(text: str | float, per_second: float) -> None:
    assert parse_rate(text) == pytest.approx(per_second)


@pytest.mark.parametrize("text", ["fast", "100/fortnight", "-1/s", "0", "", "/s", "1e999/s", float("nan")])
def test_what_is_no_rate_is_refused_with_an_example(text: str | float) -> None:
    with pytest.raises(UsageError, match="is no rate; write a number above 0 and a unit of time: 100/s"):
        parse_rate(text)


def test_a_bucket_lets_a_burst_through_and_then_the_rate() -> None:
    bucket = TokenBucket(per_second=10.0, burst=3.0, now=0.0)
    for _ in range(3):
        assert bucket.delay(0.0, 1.0) == 0.0
        bucket.take(0.0, 1.0)

    assert bucket.delay(0.0, 1.0) == pytest.approx(0.1)
    assert bucket.delay(0.1, 1.0) == pytest.approx(0.0)


def test_a_bucket_keeps_no_more_than_a_burst_of_what_was_not_used() -> None:
    bucket = TokenBucket(per_second=10.0, burst=3.0, now=0.0)
    bucket.take(1000.0, 3.0)

    assert bucket.delay(1000.0, 1.0) == pytest.approx(0.1)


def test_what_is_larger_than_a_burst_gets_through_and_is_paid_back() -> None:
    bucket = TokenBucket(per_second=10.0, burst=3.0, now=0.0)
    assert bucket.delay(0.0, 50.0) == 0.0
    bucket.take(0.0, 50.0)

    assert bucket.delay(0.0, 1.0) == pytest.approx(4.8)


def test_a_clock_that_goes_back_gives_nothing_away() -> None:
    bucket = TokenBucket(per_second=10.0, burst=1.0, now=5.0)
    bucket.take(5.0, 1.0)

    assert bucket.delay(4.0, 1.0) == pytest.approx(0.1)


def test_an_attempt_is_charged_the_mean_of_those_before_until_its_tokens_are_known() -> None:
    pacer = Pacer(None, 100.0, "tokens", 0.0)
    first = pacer.begin(0.0, ROW)
    pacer.end(0.0, first, used(150))

    assert first == 0.0
    assert pacer.delay(0.0, ROW) == pytest.approx(1.5)  # 50 in debt, and a burst of 100 to be had for 150
    assert pacer.begin(1.5, ROW) == pytest.approx(150.0)


def test_what_an_attempt_was_charged_too_much_is_given_back() -> None:
    pacer = Pacer(None, 100.0, "tokens", 0.0)
    pacer.end(0.0, pacer.begin(0.0, ROW), used(80))
    charged = pacer.begin(10.0, ROW)
    pacer.end(10.0, charged, used(0))

    assert charged == pytest.approx(80.0)
    assert pacer.delay(10.0, ROW) == 0.0


def test_failures_and_foreign_metrics_do_not_change_what_a_row_is_thought_to_cost() -> None:
    pacer = Pacer(None, 100.0, "tokens", 0.0)
    pacer.end(0.0, pacer.begin(0.0, ROW), used(40))
    pacer.end(0.0, pacer.begin(0.0, ROW), Outcome.failure(FailureKind.BUSY, "busy"))
    pacer.end(0.0, pacer.begin(0.0, ROW), Outcome(Status.FAILED, metrics={"tokens": "many"}))

    assert pacer.begin(5.0, ROW) == pytest.approx(40.0)


def test_a_function_of_the_row_is_charged_before_the_attempt() -> None:
    pacer = Pacer(None, 10.0, lambda row: len(row.raw_input), 0.0)
    row = Row(1, b"x" * 20)
    charged = pacer.begin(0.0, row)
    pacer.end(0.0, charged, used(1_000))

    assert charged == 20.0
    assert pacer.delay(0.0, row) == pytest.approx(2.0)


def test_both_rates_hold() -> None:
    pacer = Pacer(10.0, 1000.0, lambda _: 10.0, 0.0)
    pacer.begin(0.0, ROW)

    assert pacer.delay(0.0, ROW) == pytest.approx(0.1)
