"""Who is in the next batch, and when it begins."""

import math
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servekit.runtime.batching.arrivals import Arrivals
from servekit.runtime.batching.curve import CostCurve
from servekit.runtime.batching.gathering import Gathering
from servekit.runtime.batching.policy import BatchPolicy


@dataclass(eq=False)
class Guest:
    name: str
    rank: float = 0.0
    cost: float = 1.0
    key: Hashable = None
    arrived: float = 0.0
    due: float = math.inf


class Table:
    """A gathering whose model takes 5 ms a call and 0.1 ms a unit, once it has learned that."""

    def __init__(self, *, has_learned: bool = True, **policy: Any) -> None:
        self.curve = CostCurve()
        for cost in (1, 20, 40) if has_learned else ():
            self.curve.add(cost, 0.005 + 0.0001 * cost)
        self.arrivals = Arrivals()
        self.gathering: Gathering[Guest] = Gathering(BatchPolicy(**policy), self.curve, self.arrivals)

    def seat(self, *guests: Guest) -> "Table":
        for guest in guests:
            self.gathering.add(guest)
        return self

    def take(self, now: float = 0.0) -> str:
        return "".join(guest.name for guest in self.gathering.take(now))


def test_the_lowest_rank_goes_first_and_among_equals_who_came_first() -> None:
    table = Table(max_size=2).seat(Guest("a", 5), Guest("b", 1), Guest("c", 5), Guest("d", 1))

    assert [table.take(), table.take(), table.take()] == ["bd", "ac", ""]


def test_who_leaves_is_in_no_batch() -> None:
    leaver = Guest("b")
    table = Table().seat(Guest("a"), leaver, Guest("c"))

    assert table.gathering.remove(leaver)
    assert not table.gathering.remove(leaver)
    assert table.take() == "ac"


def test_a_costly_one_is_passed_by_until_its_turn() -> None:
    table = Table(max_cost=5.0, cost=len).seat(Guest("a", cost=3), Guest("b", cost=4), Guest("c", cost=2))

    assert [table.take(), table.take()] == ["ac", "b"]


def test_one_that_costs_too_much_runs_alone() -> None:
    table = Table(max_cost=5.0, cost=len).seat(Guest("a", cost=9), Guest("b", cost=1))

    assert [table.take(), table.take()] == ["a", "b"]


def test_keys_are_not_mixed_and_the_group_of_the_most_urgent_goes_first() -> None:
    table = Table(key=len).seat(Guest("a", 2, key="x"), Guest("b", 1, key="y"), Guest("c", 3, key="y"))

    assert [table.take(), table.take()] == ["bc", "a"]


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(1, 9), st.sampled_from("xyz")), max_size=40),
    st.integers(1, 8),
    st.integers(1, 20),
)
def test_all_are_taken_once_within_the_limits(guests: list[tuple[int, int, str]], size: int, most: int) -> None:
    table = Table(max_size=size, max_cost=float(most), cost=len, key=len)
    seated = [Guest(str(order), rank, cost, key) for order, (rank, cost, key) in enumerate(guests)]
    table.seat(*seated)
    taken: list[Guest] = []

    while batch := table.gathering.take(0.0):
        assert len(batch) <= size
        assert len({guest.key for guest in batch}) == 1
        assert len(batch) == 1 or sum(guest.cost for guest in batch) <= most
        assert batch[0].rank == min(guest.rank for guest in seated if guest not in taken)
        taken += batch

    assert sorted(guest.name for guest in taken) == sorted(guest.name for guest in seated)


# ---------------------------------------------------------------------- when


def test_whoever_comes_alone_does_not_wait() -> None:
    table = Table()
    now = 0.0
    for _ in range(20):
        now += 0.0003  # its client needs that long to ask again
        table.arrivals.arrive(now)
        assert table.seat(Guest("a", arrived=now)).take(now) == "a"
        now += 0.0051
        table.arrivals.end_batch(1, now)


def test_who_waits_when_a_batch_ends_waits_for_those_that_come_back_soon() -> None:
    table = Table()
    now = 0.0
    for _ in range(5):  # two that come back 0.3 ms after their answer
        table.arrivals.end_batch(2, now)
        for _ in range(2):
            now += 0.0003
            table.arrivals.arrive(now)
        now += 0.0052
    table.seat(Guest("a", arrived=now))
    table.arrivals.end_batch(1, now)

    assert table.take(now) == ""
    assert table.gathering.pause(now) == pytest.approx(0.0012)
    table.seat(Guest("b", arrived=now + 0.0003))
    table.arrivals.arrive(now + 0.0003)
    assert table.take(now + 0.0003) == "ab"


def test_nobody_is_waited_for_when_that_takes_longer_than_a_call() -> None:
    table = Table()
    table.arrivals.end_batch(9, 0.0)
    table.arrivals.arrive(0.02)

    assert table.seat(Guest("a", arrived=0.02)).take(0.02) == "a"


def test_nobody_is_waited_for_when_many_would_wait_for_one() -> None:
    table = Table(max_size=64)
    table.arrivals.end_batch(60, 0.0)
    table.arrivals.arrive(0.001)
    table.seat(*(Guest("a", arrived=0.001) for _ in range(6)))

    assert table.take(0.001) == "a" * 6


def test_a_fixed_wait_is_kept_until_the_batch_is_full() -> None:
    table = Table(max_size=3, max_wait=1.0).seat(Guest("a", arrived=5.0), Guest("b", arrived=5.9))

    assert table.take(5.95) == ""
    assert table.gathering.pause(5.95) == pytest.approx(0.05)
    assert table.seat(Guest("c", arrived=5.96)).take(5.96) == "abc"


def test_a_fixed_wait_ends_the_batch_though_it_is_not_full() -> None:
    table = Table(max_size=3, max_wait=1.0).seat(Guest("a", arrived=5.0), Guest("b", arrived=5.9))

    assert table.take(6.0) == "ab"


def test_without_any_wait_who_is_there_goes() -> None:
    table = Table(max_wait=0.0).seat(Guest("a"))
    table.arrivals.end_batch(50, 0.0)

    assert table.take(0.0) == "a"


def test_a_wait_ends_before_somebodys_time_is_up() -> None:
    table = Table(max_wait=60.0).seat(Guest("a", due=1.0))

    assert table.gathering.pause(0.0) == pytest.approx(1.0 - 0.0051)


def test_a_wait_ends_where_the_oldest_would_miss_its_target() -> None:
    table = Table(max_wait=60.0, target_latency=0.1).seat(Guest("a", arrived=1.0), Guest("b", arrived=1.05))

    assert table.gathering.pause(1.05) == pytest.approx(1.1 - 0.0052 - 1.05)


def test_a_batch_is_as_large_as_the_oldest_has_time_for() -> None:
    table = Table(max_size=64, target_latency=0.006).seat(*(Guest("a", arrived=0.0) for _ in range(30)))

    assert [len(table.take(0.0)), len(table.take(0.0))] == [10, 10]


def test_when_the_target_is_missed_already_batches_are_as_large_as_ever() -> None:
    table = Table(max_size=64, target_latency=0.006).seat(*(Guest("a", arrived=0.0) for _ in range(30)))

    assert len(table.take(0.5)) == 30


def test_one_key_does_not_wait_for_another_ones_batch() -> None:
    table = Table(max_size=2, max_wait=1.0, key=len)
    table.seat(Guest("a", 0, key="x"), Guest("b", 1, key="y"), Guest("c", 1, key="y"))

    assert [table.take(0.0), table.take(0.0)] == ["bc", ""]


def test_two_that_came_together_find_each_other_though_nobody_has_come_back_before() -> None:
    table = Table()
    table.arrivals.arrive(0.0)
    table.seat(Guest("a")).take(0.0)
    table.arrivals.arrive(0.001)
    table.seat(Guest("b"))

    table.arrivals.end_batch(1, 0.005)
    assert table.take(0.005) == "b"  # how soon the other one comes back is not known yet
    table.arrivals.arrive(0.006)
    table.seat(Guest("a"))
    table.arrivals.end_batch(1, 0.010)

    assert table.take(0.010) == ""
    assert table.gathering.pause(0.010) == pytest.approx(0.004)


def test_a_pause_of_an_hour_does_not_end_the_sharing() -> None:
    arrivals = Arrivals()
    arrivals.end_batch(2, 0.0)
    arrivals.arrive(0.001)
    arrivals.arrive(3600.0)

    assert arrivals.gap == pytest.approx(0.0013)
