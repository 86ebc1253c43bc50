"""Which limit a prediction runs into, and when."""

import asyncio
import time

import pytest

from servekit.runtime.deadlines import Deadlines, Limit
from servekit.runtime.prediction import Prediction
from servekit.runtime.terms import Terms
from servekit.spec import ServeSpec


class Passed:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.told: asyncio.Queue[tuple[Prediction, Limit]] = asyncio.Queue()

    def __call__(self, prediction: Prediction, limit: Limit) -> None:
        self.told.put_nowait((prediction, limit))


def serve(timeout: float | None, queue_timeout: float) -> ServeSpec:
    return ServeSpec.model_validate({"timeout": timeout, "queue": {"timeout": queue_timeout}})


def prediction(timeout: float | None = None, queue_timeout: float | None = None) -> Prediction:
    return Prediction("a", 1, b"{}", terms=Terms(timeout=timeout, queue_timeout=queue_timeout))


WAITING = [
    # The spec's two limits, the request's two limits, and what is over first.
    (9, 0.02, None, None, "no slot became free within 0.02 seconds (serve.queue.timeout)"),
    (0.02, 9, None, None, "timed out: it took longer than 0.02 seconds (serve.timeout)"),
    (0.02, 0.02, None, None, "no slot became free within 0.02 seconds (serve.queue.timeout)"),
    (9, 9, 0.02, None, "timed out: it took longer than 0.02 seconds (timeout of the request)"),
    (9, 9, None, 0.02, "no slot became free within 0.02 seconds (queue_timeout of the request)"),
    (None, 9, 0.02, 3, "timed out: it took longer than 0.02 seconds (timeout of the request)"),
    (9, 0.02, 3, 3, "no slot became free within 0.02 seconds (serve.queue.timeout)"),
    (0.02, 9, 3, 3, "timed out: it took longer than 0.02 seconds (serve.timeout)"),
]


@pytest.mark.parametrize(("whole", "queue", "timeout", "queue_timeout", "verdict"), WAITING)
async def test_one_that_waits_runs_into_its_shortest_limit(
    whole: float | None, queue: float, timeout: float | None, queue_timeout: float | None, verdict: str
) -> None:
    passed = Passed()
    deadlines = Deadlines(serve(whole, queue), passed)
    waiting = prediction(timeout, queue_timeout)

    deadlines.begin_waiting(waiting)

    told, limit = await asyncio.wait_for(passed.told.get(), 5)
    assert told is waiting
    assert limit.verdict == verdict


RUNNING = [
    (0.02, None, "timed out: it took longer than 0.02 seconds (serve.timeout)"),
    (9, 0.02, "timed out: it took longer than 0.02 seconds (timeout of the request)"),
    (None, 0.02, "timed out: it took longer than 0.02 seconds (timeout of the request)"),
    (0.02, 3, "timed out: it took longer than 0.02 seconds (serve.timeout)"),
]


@pytest.mark.parametrize(("whole", "timeout", "verdict"), RUNNING)
async def test_one_that_runs_has_its_whole_time_however_long_it_waited(
    whole: float | None, timeout: float | None, verdict: str
) -> None:
    passed = Passed()
    deadlines = Deadlines(serve(whole, 0.001), passed)
    running = prediction(timeout, 0.001)
    deadlines.begin_waiting(running)
    running.start()

    deadline = deadlines.begin_running(running)

    assert deadline == pytest.approx(running.created_at + 0.02, abs=0.015)
    assert (await asyncio.wait_for(passed.told.get(), 5))[1].verdict == verdict
    assert passed.told.empty()


async def test_without_any_limit_it_may_run_for_ever() -> None:
    deadlines = Deadlines(serve(None, 1), Passed())
    running = prediction()
    running.start()

    assert deadlines.begin_running(running) is None


async def test_what_has_ended_runs_into_nothing() -> None:
    passed = Passed()
    deadlines = Deadlines(serve(0.01, 9), passed)
    gone, waiting = prediction(), Prediction("b", 2, b"{}")
    deadlines.begin_waiting(gone)
    deadlines.begin_waiting(waiting)

    deadlines.end(gone)

    assert (await asyncio.wait_for(passed.told.get(), 5))[0] is waiting
    assert passed.told.empty()


async def test_a_limit_that_has_passed_is_found_before_its_timer_tells() -> None:
    deadlines = Deadlines(serve(9, 9), Passed())
    late, early = prediction(queue_timeout=1), prediction(queue_timeout=2)
    for each in (late, early):
        each.created_tick -= 1.5

    assert deadlines.find_passed(late) == Limit(1, "queue_timeout of the request", is_for_waiting=True)
    assert deadlines.find_passed(early) is None


def part(asked_seconds_ago: float, timeout: float | None = None) -> Prediction:
    asked_at = time.perf_counter() - asked_seconds_ago
    return Prediction("a", 1, b"{}", terms=Terms(timeout=timeout, queue_timeout=0.001, asked_at=asked_at))


async def test_a_part_of_a_request_waits_for_as_long_as_the_request_may_take() -> None:
    passed = Passed()
    deadlines = Deadlines(serve(0.001, 0.001), passed)
    patient, late = part(5), part(5, timeout=5)
    deadlines.begin_waiting(patient)

    deadlines.begin_waiting(late)

    told, limit = await asyncio.wait_for(passed.told.get(), 5)
    assert (told, limit.verdict) == (late, "timed out: it took longer than 5 seconds (timeout of the request)")
    assert passed.told.empty()
    assert (deadlines.find_passed(patient), deadlines.find_passed(late)) == (None, limit)


@pytest.mark.parametrize(
    ("whole", "timeout", "left"), [(60, None, 60), (60, 30, 25), (20, 30, 20), (None, 30, 25), (None, None, None)]
)
async def test_the_time_of_a_part_by_the_spec_begins_with_its_slot(
    whole: float | None, timeout: float | None, left: float | None
) -> None:
    deadlines = Deadlines(serve(whole, 9), Passed())
    running = part(5, timeout)
    running.created_tick -= 4  # it waited
    running.start()

    deadline = deadlines.begin_running(running)

    deadlines.end(running)
    assert deadline == (None if left is None else pytest.approx(time.time() + left, abs=0.5))
