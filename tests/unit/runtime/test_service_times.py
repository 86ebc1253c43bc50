import math
import statistics

import pytest

from servekit.runtime.service_times import ServiceTimes

SECONDS = [0.1, 0.4, 0.2, 0.9, 0.35]


def measure(seconds: list[float], target: float = math.inf) -> ServiceTimes:
    times = ServiceTimes(target)
    for each in seconds:
        times.add(each, is_wanted=True)
    return times


def test_the_mean_is_that_of_all() -> None:
    assert measure(SECONDS).mean == pytest.approx(statistics.fmean(SECONDS))


def test_the_error_is_that_of_the_mean() -> None:
    expected = statistics.pstdev(SECONDS) / math.sqrt(len(SECONDS)) / statistics.fmean(SECONDS)

    assert measure(SECONDS).relative_error == pytest.approx(expected)


def test_more_slots_are_wanted_if_others_waited_half_of_the_time() -> None:
    times = measure(SECONDS)
    for _ in SECONDS:
        times.add(0.1, is_wanted=False)
    assert times.is_wanted

    times.add(0.1, is_wanted=False)
    assert not times.is_wanted


def test_one_in_twenty_may_be_over_the_target() -> None:
    assert not measure([0.1] * 19 + [0.3], target=0.2).is_over_target
    assert measure([0.1] * 18 + [0.3] * 2, target=0.2).is_over_target


def test_a_few_slow_ones_do_not_prove_that_the_target_is_missed() -> None:
    assert not measure([0.3] * 7, target=0.2).is_surely_over_target
    assert not measure([0.1] * 98 + [0.3] * 8, target=0.2).is_surely_over_target


def test_many_slow_ones_do() -> None:
    assert measure([0.3] * 8, target=0.2).is_surely_over_target


def test_a_mean_that_moved_by_more_than_the_noise_differs() -> None:
    assert measure([0.10, 0.11] * 8).differs_from(measure([0.14, 0.15] * 8))


@pytest.mark.parametrize("other", [[0.11, 0.12] * 8, [0.02, 0.5] * 2], ids=["little", "noise"])
def test_a_mean_that_moved_little_or_by_chance_does_not(other: list[float]) -> None:
    assert not measure([0.10, 0.11] * 8).differs_from(measure(other))
