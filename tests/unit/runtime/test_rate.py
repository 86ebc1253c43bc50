"""What is told to those who are turned away. All times are the test's own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servekit.runtime.rate import SlotRate


def run(rate: SlotRate, seconds: float, count: int, *, start: float = 0.0) -> float:
    """Run predictions one after the other in one slot, and return the time at the end."""
    for _ in range(count):
        rate.begin(start)
        rate.end(start, start + seconds)
        start += seconds
    return start


@pytest.mark.parametrize(("seconds", "slots", "expected"), [(2.0, 1, 34), (2.0, 4, 9), (10.0, 2, 85), (0.05, 8, 1)])
def test_the_time_is_that_in_which_so_many_were_done(seconds: float, slots: int, expected: int) -> None:
    rate = SlotRate()
    now = run(rate, seconds, 10_000)

    assert rate.seconds_for(17, slots, now) == expected


def test_nothing_measured_yet_counts_as_a_second_each() -> None:
    assert SlotRate().seconds_for(12, 4, 0.0) == 3


def test_idle_time_is_no_slowness() -> None:
    rate = SlotRate()
    now = run(rate, 2.0, 1000)

    assert rate.seconds_for(4, 1, now + 86_400) == 8


def test_what_runs_for_longer_than_before_counts_before_it_has_ended() -> None:
    rate = SlotRate()
    now = run(rate, 0.01, 1000)
    assert rate.seconds_for(8, 2, now) == 1

    for _ in range(2):
        rate.begin(now)

    assert [rate.seconds_for(8, 2, now + after) for after in (10, 500, 50_000)] == [1, 5, 400]


def test_it_follows_a_change_of_speed() -> None:
    rate = SlotRate()
    now = run(rate, 0.1, 10_000)
    now = run(rate, 5.0, 100, start=now)

    assert rate.seconds_for(10, 1, now) == 50


def test_a_prediction_that_died_with_its_worker_says_nothing() -> None:
    rate = SlotRate()
    now = run(rate, 2.0, 1000)
    rate.begin(now)
    rate.drop(now)

    assert rate.seconds_for(4, 1, now + 1000) == 8


def test_no_slot_at_all_counts_as_one_that_is_to_come() -> None:
    rate = SlotRate()
    now = run(rate, 2.0, 1000)

    assert rate.seconds_for(4, 0, now) == rate.seconds_for(4, 1, now) == 8


@given(
    st.lists(st.floats(0, 1e5), max_size=30),
    st.integers(0, 20),
    st.floats(0.01, 1e6),
    st.integers(0, 10_000),
    st.floats(0, 1e9),
)
def test_the_answer_is_a_whole_number_within_bounds_whatever_was_measured(
    durations: list[float], running: int, predictions: float, slots: int, later: float
) -> None:
    rate, now = SlotRate(), 0.0
    for seconds in durations:
        now = run(rate, seconds, 1, start=now)
    for _ in range(running):
        rate.begin(now)

    seconds = rate.seconds_for(predictions, slots, now + later)

    assert isinstance(seconds, int)
    assert 1 <= seconds <= 600
