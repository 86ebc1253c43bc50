"""A pool against a model of it: hypothesis makes up what happens, and after each step the books must be right.

The pool is real: its queue, its slots, its timers, its rules of replacement. The workers are played, and the
clock is the test's own, so that any order of events can be had and a timeout of a minute takes no time.
"""

import shutil
import sys
import tempfile
import types
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import hypothesis.strategies as st
import pytest
from clock_loop import ClockLoop, FakeTime
from fake_worker import LOADED, FakeWorker
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from servekit.errors import BusyError, CallerLimitError, NotReadyError, ServekitError
from servekit.runtime.handle import WorkerHandle, WorkerState
from servekit.runtime.observer import PoolObserver
from servekit.runtime.pool import Pool
from servekit.runtime.prediction import EventKind, Prediction, Status
from servekit.runtime.protocol import Completed, Log, Metric, Outputs, Ready, SetupFailed
from servekit.runtime.terms import Terms
from servekit.spec import ServeSpec, Spec, load_spec

QUEUE_SECONDS, SECONDS, GRACE_SECONDS, SETUP_SECONDS, HANG_SECONDS = 5.0, 8.0, 2.0, 20.0, 6.0
AGEING_SECONDS, CALLER_MAX = 2.0, 3
LEGAL = {
    (Status.STARTING, Status.PROCESSING),
    (Status.STARTING, Status.FAILED),
    (Status.STARTING, Status.CANCELED),
    (Status.PROCESSING, Status.SUCCEEDED),
    (Status.PROCESSING, Status.FAILED),
    (Status.PROCESSING, Status.CANCELED),
}
ANY = st.integers(0, 1000)
RARELY = st.integers(0, 9).map(lambda number: number == 9)


class Bookkeeper(PoolObserver):
    """Notes what the pool tells."""

    def __init__(self) -> None:
        self.ended: list[int] = []
        self.faults: list[Exception] = []

    def prediction_ended(self, prediction: Prediction) -> None:
        self.ended.append(prediction.key)

    def message_failed(self, worker: WorkerHandle, error: Exception) -> None:
        self.faults.append(error)


@contextmanager
def watched_statuses(on_change: Callable[[Prediction, Status, Status], None]) -> Generator[None]:
    """Tell of each change of each prediction's status, also those that no step ends with."""
    slot: Any = Prediction.__dict__["status"]

    def change(prediction: Prediction, new: Status) -> None:
        try:
            old = slot.__get__(prediction)
        except AttributeError:  # it is being made
            assert new is Status.STARTING
        else:
            on_change(prediction, old, new)
        slot.__set__(prediction, new)

    with patch.object(Prediction, "status", property(slot.__get__, change)):
        yield


@contextmanager
def clock_of(loop: ClockLoop) -> Generator[None]:
    """Have the pool's code ask a loop for the hour."""
    fake = FakeTime(loop)
    with ExitStack() as patches:
        for name, module in list(sys.modules.items()):
            if name.startswith("servekit.runtime.") and isinstance(vars(module).get("time"), types.ModuleType):
                patches.enter_context(patch.object(module, "time", fake))
        yield


class PoolMachine(RuleBasedStateMachine):
    """What may happen to a pool."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.loop = ClockLoop()
        self.edges: list[tuple[Status, Status]] = []
        self.passed_over: list[tuple[Prediction, Prediction]] = []
        self.accepted: dict[int, Prediction] = {}
        self.promised: dict[int, tuple[Status, float]] = {}  # what was asked for first, and when
        self.is_draining = False

    # ------------------------------------------------------------------ beginning and end

    @initialize(
        workers=st.integers(1, 2),
        concurrency=st.integers(1, 3),
        is_adaptive=st.booleans(),
        length=st.integers(0, 4),
        recycle=st.sampled_from([None, 2]),
        is_new=RARELY,
    )
    def begin(
        self, workers: int, concurrency: int, is_adaptive: bool, length: int, recycle: int | None, is_new: bool
    ) -> None:
        folder = Path(tempfile.mkdtemp())
        self.stack.callback(shutil.rmtree, folder)
        self.stack.enter_context(patch("servekit.runtime.worker_factory.ProcessHandle", FakeWorker))
        self.stack.enter_context(watched_statuses(self.note_change))
        self.stack.enter_context(clock_of(self.loop))
        FakeWorker.all.clear()
        self.concurrency, self.length = concurrency, length
        self.least = 1 if is_adaptive else concurrency
        self.book = Bookkeeper()
        spec = make_spec(
            folder,
            workers=workers,
            concurrency={"min": self.least, "max": concurrency},
            queue={"max": length, "timeout": QUEUE_SECONDS, "ageing": AGEING_SECONDS},
            caller={"max": CALLER_MAX},
            recycle={"max_predictions": recycle},
        )
        self.pool = self.loop.finish(self.make_pool(spec), 1)
        if not is_new:
            self.become_ready(self.in_state(WorkerState.STARTING))

    async def make_pool(self, spec: Spec) -> Pool:
        pool = Pool(spec, python="", observer=self.book)
        await pool.start()
        pool.set_up()
        return pool

    def teardown(self) -> None:
        try:
            if hasattr(self, "pool"):
                self.end()
        finally:
            self.loop.run_until_complete(self.loop.shutdown_default_executor())
            self.loop.close()
            self.stack.close()

    def end(self) -> None:
        """Whatever has happened: all that was accepted ends, and nothing is left."""
        self.loop.finish(self.pool.drain(5), 5 + GRACE_SECONDS)
        self.check_books()
        assert all(prediction.is_done for prediction in self.accepted.values())
        self.loop.finish(self.pool.close(2), 10)
        self.loop.advance(GRACE_SECONDS)
        self.check_books()

        assert self.pool.workers == []
        books = self.pool._dispatcher
        kept = (
            books._live,
            books._stops._endings,
            books._placements,
            books._deadlines._timers,
            books._admission._callers,
        )
        assert [len(each) for each in kept] == [0] * len(kept)
        assert not any(worker.is_alive for worker in FakeWorker.all)
        assert self.loop.count_timers() == 0
        assert sorted(self.book.ended) == sorted(self.accepted)

    # ------------------------------------------------------------------ what clients do

    @rule(
        count=st.integers(1, 8),
        priority=st.integers(-3, 3),
        caller=st.sampled_from([None, b"a", b"b"]),
        is_early=RARELY,
    )
    def submit(self, count: int, priority: int, caller: bytes | None, is_early: bool) -> None:
        if not is_early:  # else most predictions would find no worker
            self.become_ready(self.in_state(WorkerState.STARTING) + self.in_state(WorkerState.LOADED))
        for _ in range(count):
            self.submit_one(Terms(priority=priority, caller=caller))

    def submit_one(self, terms: Terms) -> None:
        free, waiting = self.pool.free_slots, self.pool.queue_length
        own = [each for each in self.accepted.values() if each.terms.caller == terms.caller and not each.is_done]
        prediction = self.loop.do(partial(self.pool.new_prediction, b"{}", terms=terms))
        try:
            self.loop.do(self.pool.submit, prediction)
        except CallerLimitError:
            assert terms.caller is not None
            assert len(own) == CALLER_MAX
        except BusyError:
            assert (free, waiting) == (0, self.length)
        except NotReadyError:
            assert self.is_draining or not self.pool.is_ready
        else:
            assert not self.is_draining
            assert free or waiting < self.length
            assert terms.caller is None or len(own) < CALLER_MAX
            self.accepted[prediction.key] = prediction

    @precondition(lambda self: self.accepted)
    @rule(which=ANY)
    def cancel(self, which: int) -> None:
        prediction = self.choose(list(self.accepted.values()), which)
        self.promise(prediction, Status.CANCELED, self.loop.time())
        was_waiting = prediction.status is Status.STARTING

        self.loop.do(self.pool.cancel, prediction, "a client asked for it")

        assert prediction.is_done or not was_waiting
        assert prediction.is_done or prediction.key in self.holder_of(prediction).was_asked_to_stop

    @precondition(lambda self: self.accepted)
    @rule(which=ANY, is_slow=st.booleans())
    def read(self, which: int, is_slow: bool) -> None:
        prediction = self.choose(list(self.accepted.values()), which)
        self.loop.do(self.pool.pause if is_slow else self.pool.resume, prediction)

    # ------------------------------------------------------------------ what workers do

    @rule(count=st.integers(1, 3))
    def start_workers(self, count: int) -> None:
        """Let those that start become ready."""
        self.become_ready((self.in_state(WorkerState.STARTING) + self.in_state(WorkerState.LOADED))[:count])

    @precondition(lambda self: self.in_state(WorkerState.STARTING))
    @rule(which=ANY, is_well=st.booleans())
    def load(self, which: int, is_well: bool) -> None:
        worker = self.choose(self.in_state(WorkerState.STARTING), which)
        self.loop.do(worker.say, LOADED)
        if not is_well:
            self.loop.do(worker.say, SetupFailed("setup", "RuntimeError", "no weights", "Traceback"))
            others = self.in_state(WorkerState.STARTING) + self.in_state(WorkerState.LOADED)
            assert self.serves() or others or self.pool.queue_length == 0
            self.loop.do(worker.die, "it exited with code 0")

    @precondition(lambda self: self.busy())
    @rule(which=ANY, key=ANY, status=st.sampled_from([Status.SUCCEEDED, Status.FAILED, Status.CANCELED]))
    def complete(self, which: int, key: int, status: Any) -> None:
        worker = self.choose(self.busy(), which)
        prediction = self.accepted[self.choose(sorted(worker.has), key)]
        was_done = prediction.is_done and prediction.status

        self.loop.do(worker.say, Completed(prediction.key, status.value, 0.5, b"1", None))

        assert prediction.is_done
        assert prediction.status is (was_done or self.promised.get(prediction.key, (status, 0))[0])

    @precondition(lambda self: self.busy())
    @rule(which=ANY, key=ANY)
    def say_something(self, which: int, key: int) -> None:
        worker = self.choose(self.busy(), which)
        prediction = self.accepted[self.choose(sorted(worker.has), key)]
        was_done, before = prediction.is_done, len(prediction.kinds)

        messages = (
            Outputs(prediction.key, [b"1"]),
            Log(prediction.key, "stdout", "x"),
            Metric(prediction.key, "m", b"1", "replace"),
        )
        self.loop.do(worker.say, *messages)

        assert len(prediction.kinds) - before == (0 if was_done else 3)

    @precondition(lambda self: self.in_state(WorkerState.READY))
    @rule(which=ANY, key=st.integers(0, 30))
    def say_what_does_not_concern_it(self, which: int, key: int) -> None:
        """A key that it was never given, or has told the end of: it must be as if nothing had been said."""
        worker = self.choose(self.in_state(WorkerState.READY), which)
        if key not in worker.has:
            before = [(len(each.kinds), each.status) for each in self.accepted.values()]
            self.loop.do(worker.say, Outputs(key, [b"1"]), Completed(key, "succeeded", 0.5, b"1"))
            assert before == [(len(each.kinds), each.status) for each in self.accepted.values()]

    @precondition(lambda self: self.alive())
    @rule(which=ANY)
    def die(self, which: int) -> None:
        worker = self.choose(self.alive(), which)
        lost = [self.accepted[key] for key in worker.has]
        was_done = {each.key: each.status for each in lost if each.is_done}

        self.loop.do(worker.die, "killed")

        for each in lost:
            promised, _ = self.promised.get(each.key, (Status.FAILED, 0))
            assert each.status is was_done.get(each.key, promised)

    @precondition(lambda self: self.alive())
    @rule(is_meant=RARELY)
    def die_all(self, is_meant: bool) -> None:
        """As when the machine has no memory left."""
        for worker in self.alive() if is_meant else ():
            self.loop.do(worker.die, "killed")

    @precondition(lambda self: self.in_state(WorkerState.READY))
    @rule(which=ANY)
    def fall_silent_or_speak_again(self, which: int) -> None:
        worker = self.choose(self.in_state(WorkerState.READY), which)
        worker.is_silent = not worker.is_silent

    @precondition(lambda self: self.leaving())
    @rule(which=ANY)
    def leave(self, which: int) -> None:
        self.loop.do(self.choose(self.leaving(), which).die, "it exited with code 0")

    # ------------------------------------------------------------------ what time does

    @rule(seconds=st.sampled_from([0.01, 0.5, 1.0, 1.5, GRACE_SECONDS, QUEUE_SECONDS, SECONDS, SETUP_SECONDS]))
    def wait(self, seconds: float) -> None:
        now = self.loop.time()
        for prediction in self.accepted.values():
            deadline = prediction.created_tick + SECONDS
            if deadline <= now + seconds:
                self.promise(prediction, Status.FAILED, deadline)
        self.loop.advance(seconds)

    @precondition(lambda self: not self.is_draining and self.edges)
    @rule(is_meant=RARELY)
    def drain(self, is_meant: bool) -> None:
        """Begin a drain; the one at the end waits for the last prediction."""
        if is_meant:
            self.is_draining = True
            self.loop.do(lambda: self.loop.create_task(self.pool.drain(1000)))

    @rule(is_meant=RARELY)
    def reload(self, is_meant: bool) -> None:
        """Begin to bring in new code; that its workers become ready, or do not, the other rules decide."""

        async def reload() -> None:
            with suppress(ServekitError):
                await self.pool.reload()

        if is_meant:
            self.loop.do(lambda: self.loop.create_task(reload()))

    # ------------------------------------------------------------------ what must be so at any time

    @invariant()
    def check_books(self) -> None:
        if not hasattr(self, "pool"):
            return
        self.no_fault_of_ours()
        self.statuses_change_as_they_may()
        self.everyone_has_one_place()
        self.slots_are_counted_rightly()
        self.nobody_waits_without_need()
        self.ends_are_told_once()
        self.nobody_outlives_the_limits()

    def no_fault_of_ours(self) -> None:
        assert self.book.faults == []
        assert self.loop.faults == []

    def statuses_change_as_they_may(self) -> None:
        assert [edge for edge in self.edges if edge not in LEGAL] == []

    def everyone_has_one_place(self) -> None:
        by_status: dict[Status, set[int]] = {status: set() for status in Status}
        for key, prediction in self.accepted.items():
            by_status[prediction.status].add(key)
        running = [key for worker in self.pool.workers for key in worker.running if not self.accepted[key].is_done]

        assert len(by_status[Status.STARTING]) == self.pool.queue_length
        assert sorted(running) == sorted(by_status[Status.PROCESSING])
        given = [key for worker in FakeWorker.all for key in worker.was_given]
        assert len(given) == len(set(given))  # none runs twice

    def slots_are_counted_rightly(self) -> None:
        for worker in FakeWorker.all:
            assert set(worker.running) == (worker.has if worker.is_alive else set())
            assert len(worker.running) <= self.concurrency
            assert self.least <= worker.slots <= self.concurrency
            is_barred = worker.is_retiring or worker.is_held_back or worker.pulse.hang is not None
            is_open = worker.state is WorkerState.READY and not is_barred
            assert worker.free_slots == (max(0, worker.slots - len(worker.running)) if is_open else 0)
            assert worker.stuck <= set(worker.running)
        assert self.pool._dispatcher.used_slots == sum(len(worker.running) for worker in self.pool.workers)
        assert set(self.pool.workers) == {worker for worker in FakeWorker.all if worker.is_alive}
        held_back = any(worker.is_held_back and not worker.is_retiring for worker in self.pool.workers)
        assert self.serves() or not held_back  # new code waits only while old code serves

    def nobody_waits_without_need(self) -> None:
        assert not (self.pool.queue_length and self.pool.free_slots)
        assert self.passed_over == []
        assert self.pool.queue_length <= self.length

    def ends_are_told_once(self) -> None:
        done = sorted(key for key, prediction in self.accepted.items() if prediction.is_done)
        assert sorted(self.book.ended) == done
        for prediction in self.accepted.values():
            kinds = bytes(prediction.kinds)
            assert kinds.count(EventKind.COMPLETED) == int(prediction.is_done)
            assert kinds.endswith(bytes([EventKind.COMPLETED])) == prediction.is_done
            assert kinds.count(EventKind.START) == int(prediction.started_at is not None)
            assert kinds.find(EventKind.START) <= 0

    def nobody_outlives_the_limits(self) -> None:
        now = self.loop.time()
        for prediction in self.accepted.values():
            if not prediction.is_done:
                limit = QUEUE_SECONDS if prediction.status is Status.STARTING else SECONDS + GRACE_SECONDS
                assert now - prediction.created_tick < limit
                assert now - self.promised.get(prediction.key, (None, now))[1] < GRACE_SECONDS

    # ------------------------------------------------------------------ inside

    def note_change(self, prediction: Prediction, old: Status, new: Status) -> None:
        self.edges.append((old, new))
        if new is Status.PROCESSING:
            waiting = [each for each in self.accepted.values() if each.status is Status.STARTING]
            first = min([*waiting, prediction], key=urgency)
            if first is not prediction:
                self.passed_over.append((first, prediction))

    def promise(self, prediction: Prediction, status: Status, hour: float) -> None:
        if not prediction.is_done:
            self.promised.setdefault(prediction.key, (status, hour))

    def become_ready(self, workers: list[FakeWorker]) -> None:
        for worker in workers:
            if worker.state is WorkerState.STARTING:
                self.loop.do(worker.say, LOADED)
            assert worker.may_set_up
            self.loop.do(worker.say, Ready())

    def choose(self, things: list[Any], which: int) -> Any:
        return things[which % len(things)]

    def alive(self) -> list[FakeWorker]:
        return [worker for worker in FakeWorker.all if worker.is_alive]

    def in_state(self, state: WorkerState) -> list[FakeWorker]:
        return [worker for worker in FakeWorker.all if worker.state is state]

    def serves(self) -> bool:
        """Whether any worker runs what it is given, be it the last."""
        return any(worker.is_able for worker in self.alive())

    def busy(self) -> list[FakeWorker]:
        return [worker for worker in self.alive() if worker.has]

    def leaving(self) -> list[FakeWorker]:
        return [worker for worker in self.alive() if worker.is_told_to_leave]

    def holder_of(self, prediction: Prediction) -> FakeWorker:
        return next(worker for worker in FakeWorker.all if prediction.key in worker.has)


def urgency(prediction: Prediction) -> tuple[float, float, int]:
    """The lower, the more urgent; a level of priority is worth some seconds of waiting."""
    since = prediction.created_tick
    return since - prediction.terms.priority * AGEING_SECONDS, since, prediction.key


def make_spec(folder: Path, **serve: Any) -> Spec:
    (folder / "servekit.yaml").write_text("predictor: predict.py:run\n")
    limits = {
        "timeout": SECONDS,
        "cancel_grace": GRACE_SECONDS,
        "setup_timeout": SETUP_SECONDS,
        "hang_timeout": HANG_SECONDS,
    }
    return load_spec(folder).model_copy(update={"serve": ServeSpec.model_validate({**limits, **serve})})


TestPoolModel: Any = PoolMachine.TestCase
TestPoolModel.pytestmark = [pytest.mark.timeout(600)]  # to find the shortest example takes its time
TestPoolModel.settings = settings(
    max_examples=100,
    stateful_step_count=50,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
