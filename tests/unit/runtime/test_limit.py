"""The limit in closed loops without a clock; all figures are those of seeded simulations."""

import pickle
from functools import partial
from itertools import takewhile

import pytest
from closed_loop import ClosedLoop, Curve, batches, computes, thrashes, waits
from hypothesis import given
from hypothesis import strategies as st

from servekit.runtime.limit import ConcurrencyLimit

spreads = pytest.mark.parametrize("spread", [0.0, 0.3, 1.0])
seeds = pytest.mark.parametrize("seed", [1, 2, 3])


def try_a_step(limit: ConcurrencyLimit) -> float:
    """Report predictions of 0.1 s each until the limit moves; returns the time."""
    before = limit.current
    now = 0.0
    while limit.current == before:
        now += 0.1
        limit.record(now, 0.1, before, is_wanted=True)
    return now


def percentile_95(values: list[float]) -> float:
    return sorted(values)[int(0.95 * len(values))]


@spreads
@seeds
@pytest.mark.parametrize("curve", [computes(0.005), thrashes(0.005)], ids=["computes", "thrashes"])
def test_a_model_that_computes_settles_near_the_minimum(curve: Curve, spread: float, seed: int) -> None:
    loop = ClosedLoop(ConcurrencyLimit(1, 64), curve, spread=spread, seed=seed).run(10_000)

    assert loop.settled < 2
    assert loop.efficiency > 0.95


@spreads
@pytest.mark.parametrize("knee", [3, 8, 20])
def test_a_model_that_waits_settles_near_its_knee(knee: int, spread: float) -> None:
    loop = ClosedLoop(ConcurrencyLimit(1, 64), waits(0.05, knee), spread=spread).run(20_000)

    assert 0.9 * knee < loop.settled < 2 * knee
    assert loop.efficiency > 0.93


def test_a_steady_model_settles_close_to_its_knee() -> None:
    loop = ClosedLoop(ConcurrencyLimit(1, 64), waits(0.05, 11)).run(10_000)

    assert loop.settled == pytest.approx(11, abs=0.5)


@pytest.mark.parametrize("spread", [0.0, 0.3])
@pytest.mark.parametrize("curve", [batches(0.04, 0.005), batches(0.01, 0.005)], ids=["long step", "short step"])
def test_a_model_that_batches_gives_nine_tenths_of_what_it_can(curve: Curve, spread: float) -> None:
    loop = ClosedLoop(ConcurrencyLimit(1, 64), curve, spread=spread).run(20_000)

    assert loop.efficiency > 0.9


def test_a_steady_model_is_climbed_within_a_few_hundred_predictions() -> None:
    loop = ClosedLoop(ConcurrencyLimit(1, 64), waits(0.05, 32)).run(800)

    assert loop.settled > 28


def test_a_model_that_scales_to_the_maximum_gets_it() -> None:
    loop = ClosedLoop(ConcurrencyLimit(1, 64), waits(0.05, 100)).run(10_000)

    assert loop.settled > 60


@pytest.mark.parametrize("spread", [0.0, 0.3])
@pytest.mark.parametrize(
    ("before", "after", "least", "most"),
    [
        (waits(0.05, 8), waits(0.05, 32), 28, 48),
        (waits(0.05, 32), waits(0.05, 8), 7, 16),
        (waits(0.05, 32), thrashes(0.005), 1, 2),
        (thrashes(0.005), waits(0.05, 32), 28, 48),
        (waits(0.05, 16), waits(0.2, 16), 14, 24),
    ],
    ids=["more at a time", "fewer at a time", "computes now", "waits now", "slower"],
)
def test_a_change_of_the_model_is_followed(
    before: Curve, after: Curve, least: float, most: float, spread: float
) -> None:
    loop = ClosedLoop(ConcurrencyLimit(1, 64), before, spread=spread).run(10_000)

    loop.curve = after
    loop.run(10_000)

    assert least <= loop.settled <= most


@pytest.mark.parametrize("clients", [1, 3, 4])
def test_the_limit_stays_while_fewer_ask_than_it_lets_through(clients: int) -> None:
    loop = ClosedLoop(ConcurrencyLimit(4, 64), waits(0.05, 32), clients).run(2000)

    assert set(loop.limits) == {4}


def test_the_limit_stays_when_demand_falls_below_it() -> None:
    loop = ClosedLoop(ConcurrencyLimit(1, 64), waits(0.05, 16)).run(5000)
    before = loop.limit.current

    loop.clients = 4
    loop.run(2000)

    assert set(loop.limits) == {before}


def test_the_search_goes_on_when_demand_comes_back() -> None:
    loop = ClosedLoop(ConcurrencyLimit(1, 64), waits(0.05, 16), clients=1).run(1000)

    loop.clients = 200
    loop.run(2000)

    assert loop.settled > 14


@pytest.mark.parametrize("spread", [0.0, 0.1, 0.3])
@pytest.mark.parametrize("target", [0.1, 0.2, 0.3])
def test_a_latency_target_is_kept_with_nine_tenths_of_what_it_allows(target: float, spread: float) -> None:
    curve = batches(0.04, 0.005)
    loop = ClosedLoop(ConcurrencyLimit(1, 64, target), curve, spread=spread).run(10_000).run(10_000)

    def fixed_is_within(slots: int) -> bool:
        fixed = ClosedLoop(ConcurrencyLimit(slots, slots), curve, spread=spread).run(1000)
        return percentile_95(fixed.service_times) <= target

    best = max(takewhile(fixed_is_within, range(1, 65)))
    assert sum(map(curve, loop.limits)) / len(loop.limits) > 0.9 * curve(best)
    # What is over it are the looks beyond, a few in a hundred.
    assert sum(seconds > target for seconds in loop.service_times) < 0.1 * len(loop.service_times)


def test_a_target_that_nothing_can_keep_leaves_the_minimum() -> None:
    loop = ClosedLoop(ConcurrencyLimit(2, 64, 0.001), waits(0.05, 16)).run(5000)

    assert loop.settled < 3


def test_a_model_that_becomes_slower_than_its_target_gets_fewer() -> None:
    loop = ClosedLoop(ConcurrencyLimit(1, 64, 0.2), batches(0.04, 0.005)).run(5000)
    assert loop.settled > 25

    loop.curve = batches(0.08, 0.01)
    loop.run(2000)

    assert loop.settled == pytest.approx(12, abs=2)


def test_a_step_with_more_than_one_in_twenty_over_the_target_is_undone() -> None:
    limit = ConcurrencyLimit(1, 2, 0.2)
    now = try_a_step(limit)

    for number in range(20):  # of which 16 count
        now += 0.1
        limit.record(now, 0.3 if number % 9 == 8 else 0.1, 2, is_wanted=True)

    assert limit.current == 1


def test_predictions_before_a_slot_was_free_do_not_count() -> None:
    limit = ConcurrencyLimit(4, 64)

    for number in range(1000):
        limit.record(number, 0.1, 4, is_wanted=True)
        limit.pause()

    assert limit.current == 4


def test_a_step_is_forgotten_when_nobody_had_to_wait_for_a_minute() -> None:
    limit = ConcurrencyLimit(4, 64)
    now = try_a_step(limit)

    limit.record(now + 3600, 0.1, limit.current, is_wanted=True)

    assert limit.current == 4


def test_a_model_that_takes_minutes_is_not_taken_for_an_idle_one() -> None:
    loop = ClosedLoop(ConcurrencyLimit(1, 64), waits(300.0, 8)).run(500)

    assert loop.settled > 6


@given(
    bounds=st.tuples(st.integers(1, 20), st.integers(0, 20)),
    target=st.none() | st.floats(0.001, 1),
    samples=st.lists(st.tuples(st.floats(0, 10), st.booleans(), st.booleans()), max_size=400),
)
def test_the_limit_never_leaves_its_bounds(
    bounds: tuple[int, int], target: float | None, samples: list[tuple[float, bool, bool]]
) -> None:
    limit = ConcurrencyLimit(bounds[0], sum(bounds), target)
    now = 0.0

    for seconds, is_full, is_wanted in samples:
        now += seconds
        report = partial(limit.record, now, seconds, limit.current, is_wanted=is_wanted) if is_full else limit.pause
        report()

        assert bounds[0] <= limit.current <= sum(bounds)


def test_a_limit_takes_no_more_room_the_longer_it_runs() -> None:
    loop = ClosedLoop(ConcurrencyLimit(1, 64), waits(0.05, 16), spread=0.3).run(1000)
    early = len(pickle.dumps(loop.limit))

    loop.run(20_000)

    assert len(pickle.dumps(loop.limit)) < early + 100
