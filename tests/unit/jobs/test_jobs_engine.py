"""How a job moves its rows, with a target that the test turns by hand, on a clock that it moves."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from types import TracebackType
from typing import Any, Self

import pytest
from clock_loop import ClockLoop

from servekit.errors import UsageError
from servekit.jobs import FailureKind, Outcome, Row, RowResult, run_batch
from servekit.jobs.opening import choose_target
from servekit.jobs.options import JobOptions
from servekit.jobs.run import BatchRun
from servekit.jobs.target import OnEnd
from servekit.runtime.prediction import Status
from servekit.threads import RetryPolicy


def done(row: Row) -> Outcome:
    return Outcome(Status.SUCCEEDED, row.raw_input)


class HandTarget:
    """Runs rows until the test ends them."""

    def __init__(self, slots: int | None = 2) -> None:
        self.slots = slots
        self.running: dict[int, OnEnd] = {}
        self.started: list[int] = []
        self.timeouts: list[float | None] = []
        self.canceled: list[int] = []
        self.on_slots: Callable[[], None] = lambda: None

    async def __aenter__(self) -> Self:
        raise AssertionError("the test has opened it")

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        raise AssertionError("the test closes it")

    def listen(self, on_slots: Callable[[], None]) -> Callable[[], None]:
        self.on_slots = on_slots
        return self._ignore_slots

    def _ignore_slots(self) -> None:
        del self.on_slots

    def start(self, row: Row, timeout_seconds: float | None, on_end: OnEnd) -> Callable[[], None]:
        self.started.append(row.number)
        self.timeouts.append(timeout_seconds)
        self.running[row.number] = on_end
        return partial(self._cancel, row.number)

    def end(self, number: int, outcome: Outcome | None = None) -> None:
        self.running.pop(number)(Outcome(Status.SUCCEEDED, b"%d" % number) if outcome is None else outcome)

    def _cancel(self, number: int) -> None:
        self.canceled.append(number)
        asyncio.get_running_loop().call_soon(self._end_canceled, number)

    def _end_canceled(self, number: int) -> None:
        self.end(number, Outcome(Status.CANCELED, error="canceled", kind=FailureKind.CANCELED))


class QuickTarget(HandTarget):
    """Ends every row while it is being started."""

    def start(self, row: Row, timeout_seconds: float | None, on_end: OnEnd) -> Callable[[], None]:
        cancel = super().start(row, timeout_seconds, on_end)
        self.end(row.number)
        return cancel


class Stage:
    """A job with its target, its loop and a consumer that takes results as they come, unless it is told not to."""

    def __init__(self, loop: ClockLoop) -> None:
        self.loop = loop
        self.results: list[RowResult] = []
        self.read = 0
        self.is_over = False
        self._task: asyncio.Task[None] | None = None

    def run(self, target: HandTarget, rows: int | list[Row] = 10, *, takes: int | None = None, **options: Any) -> None:
        given = [Row(n, b"%d" % n) for n in range(1, rows + 1)] if isinstance(rows, int) else rows
        self.target = target
        self.job = self.loop.do(
            lambda: BatchRun(choose_target(target), self._count(given), JobOptions(**options), self.loop.time)
        )
        self._task = self.loop.create_task(self._take(takes))
        self.loop.settle()

    async def _count(self, rows: list[Row]) -> AsyncIterator[Row]:
        for row in rows:
            self.read += 1
            yield row

    async def _take(self, most: int | None) -> None:
        async with self.job:
            async for result in self.job:
                self.results.append(result)
                if len(self.results) == most:
                    await asyncio.sleep(1e6)
        self.is_over = True

    def end(self, number: int, outcome: Outcome | None = None) -> None:
        self.loop.do(self.target.end, number, outcome)

    def leave(self) -> None:
        assert self._task is not None
        self._task.cancel()
        with pytest.raises(asyncio.CancelledError):
            self.loop.finish(asyncio.wait_for(asyncio.shield(self._task), None), 100)

    def numbers(self) -> list[int]:
        return [result.number for result in self.results]


@pytest.fixture
def stage() -> Iterator[Stage]:
    loop = ClockLoop()
    stage = Stage(loop)
    yield stage
    if not stage.is_over and stage._task is not None and not stage._task.done():
        stage.leave()
    loop.run_until_complete(loop.shutdown_asyncgens())
    assert loop.faults == []
    assert loop.count_timers() == 0
    loop.close()


# ---------------------------------------------------------------------- slots and order


def test_all_slots_are_filled_and_the_next_row_begins_when_one_ends(stage: Stage) -> None:
    stage.run(HandTarget(slots=2))
    assert stage.target.started == [1, 2]
    stage.end(2)

    assert stage.target.started == [1, 2, 3]


def test_results_come_in_the_order_of_the_rows(stage: Stage) -> None:
    stage.run(HandTarget(slots=3), 3)
    stage.end(3)
    stage.end(2)
    assert stage.numbers() == []
    stage.end(1)

    assert stage.numbers() == [1, 2, 3]
    assert stage.is_over


def test_unordered_results_come_as_they_end(stage: Stage) -> None:
    stage.run(HandTarget(slots=3), 3, ordered=False)
    stage.end(3)
    stage.end(1)

    assert stage.numbers() == [3, 1]


def test_a_number_bounds_the_slots(stage: Stage) -> None:
    stage.run(HandTarget(slots=8), concurrency=3)

    assert stage.target.started == [1, 2, 3]


def test_new_slots_are_used_when_the_target_tells_of_them(stage: Stage) -> None:
    stage.run(HandTarget(slots=1))
    stage.target.slots = 4
    stage.loop.do(stage.target.on_slots)

    assert stage.target.started == [1, 2, 3, 4]


def test_one_row_runs_though_there_is_no_slot_at_all(stage: Stage) -> None:
    stage.run(HandTarget(slots=0))

    assert stage.target.started == [1]


def test_a_target_that_ends_rows_while_they_are_started_is_not_called_in_itself(stage: Stage) -> None:
    stage.run(QuickTarget(), 5_000)

    assert stage.numbers() == list(range(1, 5_001))


def test_no_rows_give_no_results(stage: Stage) -> None:
    stage.run(HandTarget(), 0)

    assert (stage.is_over, stage.results) == (True, [])


def test_a_target_of_unknown_slots_gets_some_rows_to_begin_with(stage: Stage) -> None:
    stage.run(HandTarget(slots=None))

    assert stage.target.started == [1, 2, 3, 4]


# ---------------------------------------------------------------------- back pressure


def test_a_slow_first_row_does_not_let_finished_ones_pile_up(stage: Stage) -> None:
    stage.run(HandTarget(slots=2), 5_000)
    while len(stage.target.running) == 2:
        stage.end(max(stage.target.running))

    assert stage.job.state.held == 256 + 4 * 2
    assert stage.read <= 256 + 4 * 2 + 64
    stage.end(1)
    assert len(stage.target.running) == 2


def test_a_consumer_that_takes_nothing_stops_the_job(stage: Stage) -> None:
    stage.run(QuickTarget(slots=2), 5_000, takes=10)

    assert (len(stage.target.started), stage.job.state.held) == (10 + 264, 264)


def test_large_rows_are_held_by_their_size(stage: Stage) -> None:
    content = b"x" * 20_000_000
    stage.run(HandTarget(slots=4), [Row(n, content) for n in range(1, 40)])
    for _ in range(3):
        stage.end(max(stage.target.running))

    assert stage.target.started == [1, 2, 3, 4]


# ---------------------------------------------------------------------- rows that fail


def test_a_row_with_a_fault_is_not_run_and_keeps_its_place(stage: Stage) -> None:
    stage.run(HandTarget(), [Row(1), Row(2, fault="not JSON"), Row(3)])
    stage.end(1)
    stage.end(3)

    assert [(each.number, each.kind, each.error, each.attempts) for each in stage.results] == [
        (1, None, None, 1),
        (2, FailureKind.ROW, "not JSON", 0),
        (3, None, None, 1),
    ]


def test_a_row_that_was_read_and_does_not_fit_is_told_as_such(stage: Stage) -> None:
    stage.run(HandTarget(), [Row(1, fault="n is missing", fault_kind=FailureKind.INPUT)])

    assert (stage.results[0].kind, stage.target.started) == (FailureKind.INPUT, [])


@pytest.mark.parametrize("kind", [FailureKind.WORKER_DIED, FailureKind.BUSY, FailureKind.CONNECTION])
def test_what_has_not_to_do_with_the_row_is_tried_again_after_a_pause(stage: Stage, kind: FailureKind) -> None:
    stage.run(HandTarget(), 1)
    stage.end(1, Outcome.failure(kind, "not now"))
    assert (stage.target.running, stage.job.state.retrying) == ({}, 1)
    stage.loop.advance(0.5)
    stage.end(1)

    assert (stage.results[0].attempts, stage.results[0].is_success) == (2, True)


@pytest.mark.parametrize("kind", [FailureKind.MODEL, FailureKind.INPUT, FailureKind.CANCELED])
def test_what_the_row_is_to_blame_for_is_not_tried_again(stage: Stage, kind: FailureKind) -> None:
    stage.run(HandTarget(), 1)
    stage.end(1, Outcome.failure(kind, "never"))

    assert (stage.results[0].attempts, stage.results[0].kind) == (1, kind)


def test_the_model_s_own_errors_are_tried_again_when_asked_for(stage: Stage) -> None:
    stage.run(HandTarget(), 1, retry_on=[FailureKind.MODEL])
    stage.end(1, Outcome.failure(FailureKind.MODEL, "flaky"))
    stage.loop.advance(1.0)

    assert stage.target.started == [1, 1]


def test_retries_come_to_an_end_with_the_last_error(stage: Stage) -> None:
    stage.run(HandTarget(), 1, retries=2)
    for attempt in range(3):
        stage.end(1, Outcome.failure(FailureKind.CONNECTION, f"error {attempt}"))
        stage.loop.advance(40.0)

    assert (stage.results[0].attempts, stage.results[0].error) == (3, "error 2")


def test_the_pause_is_at_least_what_a_server_has_asked_for(stage: Stage) -> None:
    stage.run(HandTarget(slots=1), 1, retries=RetryPolicy(1, first_pause_seconds=0.0))
    stage.end(1, Outcome.failure(FailureKind.BUSY, "busy", retry_after=7.0))
    stage.loop.advance(6.9)
    assert stage.target.started == [1]
    stage.loop.advance(0.2)

    assert stage.target.started == [1, 1]


def test_a_row_that_waits_for_its_next_attempt_holds_no_slot(stage: Stage) -> None:
    stage.run(HandTarget(slots=1), 2)
    stage.end(1, Outcome.failure(FailureKind.WORKER_DIED, "killed"))

    assert stage.target.started == [1, 2]


def test_a_server_that_asks_for_a_pause_gets_it_from_all_rows(stage: Stage) -> None:
    stage.run(HandTarget(slots=None), 10, concurrency=1)
    stage.end(1, Outcome.failure(FailureKind.BUSY, "busy", retry_after=7.0))
    stage.loop.advance(6.9)
    assert (stage.target.started, stage.job.state.paused) == ([1], "rate")
    stage.loop.advance(0.2)

    assert len(stage.target.started) == 2


# ---------------------------------------------------------------------- time


def test_an_attempt_is_told_what_is_left_of_its_row_s_time(stage: Stage) -> None:
    stage.run(HandTarget(), 1, timeout=10.0, retries=RetryPolicy(1, first_pause_seconds=0.0))
    stage.loop.advance(4.0)
    stage.end(1, Outcome.failure(FailureKind.WORKER_DIED, "killed"))
    stage.loop.settle()

    assert stage.target.timeouts == pytest.approx([10.0, 6.0])


def test_a_row_whose_next_attempt_would_come_too_late_is_over_at_once(stage: Stage) -> None:
    stage.run(HandTarget(), 1, timeout=5.0)
    stage.end(1, Outcome.failure(FailureKind.BUSY, "busy", retry_after=7.0))

    assert (stage.results[0].kind, stage.results[0].error) == (
        FailureKind.TIMEOUT,
        "timed out: the row may take 5 seconds, and no time was left for another attempt after: busy",
    )


def test_a_timeout_is_told_with_the_whole_time_and_the_attempts(stage: Stage) -> None:
    stage.run(HandTarget(), 1, timeout=5.0, retry_on=[FailureKind.TIMEOUT])
    stage.loop.advance(4.9)
    stage.end(1, Outcome.failure(FailureKind.TIMEOUT, "timed out"))

    assert stage.results[0].error == "timed out: the row may take 5 seconds, 1 attempt included"


def test_a_shorter_time_that_the_target_has_set_is_told_as_it_is(stage: Stage) -> None:
    stage.run(HandTarget(), 1, timeout=50.0)
    stage.loop.advance(1.0)
    stage.end(1, Outcome.failure(FailureKind.TIMEOUT, "timed out: it took longer than 1 second"))

    assert stage.results[0].error == "timed out: it took longer than 1 second"


def test_the_seconds_of_a_row_are_those_from_its_first_attempt_on(stage: Stage) -> None:
    stage.run(HandTarget(slots=1), 1, retries=RetryPolicy(1, first_pause_seconds=0.0))
    stage.loop.advance(2.0)
    stage.end(1, Outcome.failure(FailureKind.BUSY, "busy", retry_after=3.0))
    stage.loop.advance(4.0)
    stage.end(1)

    assert stage.results[0].seconds == pytest.approx(6.0)


# ---------------------------------------------------------------------- rates and memory


def test_a_rate_spreads_the_rows_evenly(stage: Stage) -> None:
    stage.run(QuickTarget(), 100, rate="10/s")
    stage.loop.advance(1.05)

    assert len(stage.target.started) == 11
    assert stage.job.state.paused == "rate"


def test_a_token_rate_holds_back_what_the_metric_counts(stage: Stage) -> None:
    target = HandTarget(slots=1)
    stage.run(target, 100, token_rate="100/s")
    for _ in range(3):
        stage.end(len(target.started), Outcome(Status.SUCCEEDED, metrics={"tokens": 200}))
        stage.loop.advance(1.8)
        assert len(target.running) == 0
        stage.loop.advance(0.25)

    assert target.started == [1, 2, 3, 4]  # two seconds for each


def test_a_function_of_the_row_that_raises_ends_the_job_with_its_error(stage: Stage) -> None:
    def count(row: Row) -> float:
        raise KeyError(row.number)

    stage.run(HandTarget(), 3, token_rate="1/s", tokens=count)

    assert stage._task is not None
    with pytest.raises(KeyError):
        stage._task.result()


# ---------------------------------------------------------------------- ends


def test_leaving_cancels_what_runs_and_begins_nothing_more(stage: Stage) -> None:
    stage.run(HandTarget(slots=2), 10)
    stage.leave()

    assert (sorted(stage.target.canceled), stage.target.running, stage.target.started) == ([1, 2], {}, [1, 2])
    assert not hasattr(stage.target, "on_slots")


def test_draining_lets_what_runs_end_and_begins_nothing_more(stage: Stage) -> None:
    stage.run(HandTarget(slots=2), 10)
    stage.job.drain()
    for number in (1, 2):
        stage.end(number)

    assert (stage.target.canceled, stage.target.started) == ([], [1, 2])
    assert [result.number for result in stage.results] == [1, 2]
    assert stage._task is not None
    assert stage._task.done()


def test_leaving_forgets_rows_that_wait_for_their_next_attempt(stage: Stage) -> None:
    stage.run(HandTarget(slots=1), 1)
    stage.end(1, Outcome.failure(FailureKind.BUSY, "busy", retry_after=1_000.0))
    stage.leave()

    assert stage.loop.count_timers() == 0


def test_a_target_that_does_not_let_go_is_waited_for_a_minute(stage: Stage) -> None:
    class Stubborn(HandTarget):
        def _cancel(self, number: int) -> None:
            self.canceled.append(number)

    stage.run(Stubborn(slots=1), 1)
    stage.leave()

    assert list(stage.target.running) == [1]


def test_the_state_tells_what_a_job_does(stage: Stage) -> None:
    stage.run(HandTarget(slots=2), 10)
    state = stage.job.state

    assert (state.running, state.limit, state.retrying, state.held, state.paused) == (2, 2, 0, 2, None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"concurrency": 0}, 'concurrency is 0; it must be a whole number from 1, or "auto"'),
        ({"concurrency": "many"}, "concurrency is 'many'; it must be a whole number"),
        ({"timeout": 0}, "timeout is 0; it must be a number of seconds above 0"),
        ({"retries": -1}, "retries is -1; it must be 0 or more"),
        ({"memory_limit": 0}, "memory_limit is 0; it must be a number of bytes above 0"),
        ({"rate": "fast"}, '"fast" is no rate'),
    ],
)
async def test_an_option_that_cannot_be_is_refused_at_once(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        run_batch(HandTarget(), [], **options)


def test_pauses_are_spread_by_chance(stage: Stage) -> None:
    random.seed(1)
    stage.run(HandTarget(slots=5), 5)
    for number in range(1, 6):
        stage.end(number, Outcome.failure(FailureKind.CONNECTION, "reset"))
    stage.loop.advance(0.25)

    assert 0 < len(stage.target.started) - 5 < 5
