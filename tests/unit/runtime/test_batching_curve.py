"""The cost of calls, learned from those that were made."""

import math
import random

import pytest

from servekit.runtime.batching.curve import CostCurve


def learned(*costs: float, fixed: float = 0.005, per_unit: float = 0.0001, noise: float = 0.0) -> CostCurve:
    curve = CostCurve()
    source = random.Random(7)
    for cost in costs:
        curve.add(cost, (fixed + per_unit * cost) * (1 + source.uniform(-noise, noise)))
    return curve


def test_nothing_is_known_at_first() -> None:
    curve = CostCurve()

    assert (curve.saving, curve.seconds_for(10), curve.cost_within(1)) == (0, 0, math.inf)


def test_a_line_is_found_from_calls_of_different_cost() -> None:
    curve = learned(1, 64, 8, 32)

    assert curve.saving == pytest.approx(0.005)
    assert curve.seconds_for(100) == pytest.approx(0.015)
    assert curve.cost_within(0.015) == pytest.approx(100)


def test_a_line_is_found_through_noise() -> None:
    source = random.Random(3)
    curve = learned(*(source.randint(1, 64) for _ in range(200)), noise=0.1)

    assert curve.saving == pytest.approx(0.005, rel=0.2)
    assert curve.seconds_for(32) == pytest.approx(0.0082, rel=0.1)


def test_from_calls_that_are_all_alike_the_safe_side_is_taken_both_ways() -> None:
    curve = learned(1, 1, 1)

    assert curve.saving == pytest.approx(0.0051)  # perhaps a call less saves all of it
    assert curve.seconds_for(10) == pytest.approx(0.051)  # perhaps ten take ten times as long
    assert curve.cost_within(0.051) == pytest.approx(10)


def test_the_slope_is_kept_while_all_calls_are_alike() -> None:
    curve = learned(1, 32, *[16] * 300)

    assert curve.saving == pytest.approx(0.005, rel=0.01)


def test_a_model_that_changes_is_learned_anew() -> None:
    curve = learned(1, 32, 8, 16)
    for cost in [1, 32] * 200:
        curve.add(cost, 0.1 + 0.01 * cost)

    assert curve.saving == pytest.approx(0.1, rel=0.01)


def test_a_slope_is_never_below_zero_nor_is_what_is_fixed() -> None:
    falling = CostCurve()
    steep = CostCurve()
    for cost, seconds in [(1, 0.2), (10, 0.1), (5, 0.15)]:
        falling.add(cost, seconds)
    for cost, seconds in [(1, 0.001), (10, 1.0), (100, 100.0)]:
        steep.add(cost, seconds)

    assert falling.seconds_for(100) == pytest.approx(0.15, rel=0.05)
    assert falling.cost_within(1) == math.inf
    assert steep.saving == pytest.approx(0)


def test_calls_that_cost_nothing_are_no_fault() -> None:
    curve = learned(0, 0)

    assert curve.seconds_for(0) == pytest.approx(0.005)
    assert curve.cost_within(1) == math.inf


def test_costs_beyond_what_can_be_squared_are_no_fault() -> None:
    curve = learned(1e200, 1.0, per_unit=0.0)

    assert curve.seconds_for(1.0) == pytest.approx(0.005)
