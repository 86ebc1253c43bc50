"""The order in which predictions leave the queue."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servekit.runtime.prediction import Prediction
from servekit.runtime.queue import WaitingLine
from servekit.runtime.terms import HIGHEST_PRIORITY, LOWEST_PRIORITY, Terms


def prediction(key: int, priority: int = 0, *, since: float = 0.0) -> Prediction:
    made = Prediction(str(key), key, b"{}", terms=Terms(priority))
    made.created_tick = since
    return made


def fill(line: WaitingLine, *waiting: Prediction) -> None:
    for each in waiting:
        line.put(each)


def empty(line: WaitingLine) -> list[int]:
    keys: list[int] = []
    while (taken := line.take()) is not None:
        keys.append(taken.key)
    return keys


def test_first_come_first_served_within_one_priority() -> None:
    line = WaitingLine(3, 5)
    fill(line, prediction(0), prediction(1), prediction(2))

    assert line.is_full
    assert empty(line) == [0, 1, 2]


def test_the_higher_priority_goes_first() -> None:
    line = WaitingLine(10, 5)
    fill(line, prediction(0, 0), prediction(1, -10), prediction(2, 10), prediction(3, 10), prediction(4, 1))

    assert empty(line) == [2, 3, 4, 0, 1]


@pytest.mark.parametrize(("came_later", "order"), [(14.9, [1, 0]), (15.1, [0, 1])])
def test_each_time_of_ageing_is_worth_one_level(came_later: float, order: list[int]) -> None:
    line = WaitingLine(10, 5)
    fill(line, prediction(0, 0), prediction(1, 3, since=came_later))

    assert empty(line) == order


def test_a_low_priority_is_not_starved_by_a_stream_of_high_ones() -> None:
    line = WaitingLine(10, 5)
    fill(line, prediction(0, LOWEST_PRIORITY))

    served: list[int] = []
    while 0 not in served:
        line.put(prediction(tick := len(served) + 1, HIGHEST_PRIORITY, since=tick))
        taken = line.take()
        assert taken is not None
        served.append(taken.key)

    assert len(served) == 100  # twenty levels of five seconds each; of equals the one that came first


def test_without_ageing_the_higher_priority_always_goes_first() -> None:
    line = WaitingLine(10, None)
    fill(line, prediction(0, 0), prediction(1, 1, since=1e9))

    assert empty(line) == [1, 0]


def test_one_that_was_removed_is_not_served() -> None:
    line = WaitingLine(3, 5)
    first, second = prediction(1), prediction(2)
    fill(line, first, second)

    assert line.remove(first)
    assert not line.remove(first)
    assert line.take() is second


def test_a_line_of_length_zero_is_always_full() -> None:
    assert WaitingLine(0, 5).is_full


class NaiveLine:
    """A list that is searched from end to end, with the clock that the real one does without."""

    def __init__(self, ageing: float | None) -> None:
        self.ageing = ageing
        self.waiting: list[Prediction] = []

    def take(self, now: float) -> Prediction:
        def urgency(each: Prediction) -> tuple[float, float, int]:
            gained = 0.0 if self.ageing is None else (now - each.created_tick) / self.ageing
            return each.terms.priority + gained, -each.created_tick, -each.key

        best = max(self.waiting, key=urgency)
        self.waiting.remove(best)
        return best


PRIORITIES = st.integers(LOWEST_PRIORITY, HIGHEST_PRIORITY)
STEPS = st.one_of(
    st.tuples(st.just("put"), PRIORITIES),
    st.tuples(st.just("take"), st.just(0)),
    st.tuples(st.just("remove"), st.integers(0, 1000)),
    st.tuples(st.just("wait"), st.integers(1, 64)),
)


# Powers of two, so that both ways of reckoning are exact and a tie is a tie.
@given(st.lists(STEPS, max_size=80), st.sampled_from([None, 0.5, 4.0, 1024.0]))
def test_it_does_what_a_naive_line_does(steps: Sequence[tuple[str, int]], ageing: float | None) -> None:
    line, naive, now = WaitingLine(1000, ageing), NaiveLine(ageing), 0
    for key, (step, value) in enumerate(steps):
        if step == "put":
            fill(line, added := prediction(key, value, since=now))
            naive.waiting.append(added)
        elif step == "wait":
            now += value
        elif not naive.waiting:
            assert line.take() is None
        elif step == "take":
            assert line.take() is naive.take(now)
        else:
            gone = naive.waiting.pop(value % len(naive.waiting))
            assert line.remove(gone)
        assert len(line) == len(naive.waiting)
    while naive.waiting:
        assert line.take() is naive.take(now)
