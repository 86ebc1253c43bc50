"""What is counted, and as what."""

from pathlib import Path

import pytest

from servekit.errors import BusyError, CallerLimitError, InputError, NotReadyError, OutputError, ServekitError
from servekit.runtime.death import DeathCause
from servekit.runtime.handle import WorkerHandle
from servekit.runtime.prediction import Prediction, Status
from servekit.runtime.protocol import ToServer
from servekit.runtime.settings import WorkerSettings
from servekit.server.metrics.tally import FINAL, Histogram, RefusalReason, Tally
from servekit.server.problems import Refusal
from servekit.spec import Spec


class Deaf:
    """Worker events that nobody is interested in."""

    def on_messages(self, worker: WorkerHandle, messages: list[ToServer]) -> None: ...
    def on_output(self, worker: WorkerHandle, source: str, text: str) -> None: ...
    def on_death(self, worker: WorkerHandle, reason: str) -> None: ...


@pytest.fixture
async def worker(tmp_path: Path) -> WorkerHandle:
    spec = Spec(predictor="predict.py:Predictor", path=tmp_path / "servekit.yaml")
    return WorkerHandle(3, WorkerSettings.from_spec(spec, tmp_path), Deaf())


def end(tally: Tally, status: Status, **values: object) -> None:
    prediction = Prediction("a", 1, b"{}")
    prediction.start()
    tally.prediction_started(prediction)
    prediction.finish(status, **values)  # type: ignore[arg-type] # what the test says
    tally.prediction_ended(prediction)


def test_a_value_is_in_the_bucket_whose_bound_it_does_not_exceed() -> None:
    histogram = Histogram((1.0, 2.0))

    for value in (0.5, 1.0, 1.5, 2.0, 2.5):
        histogram.observe(value)

    assert histogram.counts == [2, 2, 1]
    assert (histogram.count, histogram.sum) == (5, 7.5)


@pytest.mark.parametrize("status", FINAL)
def test_a_prediction_is_counted_under_its_final_status(status: Status) -> None:
    tally = Tally()

    end(tally, status)

    assert {each: tally.durations[each].count for each in FINAL} == {each: each is status for each in FINAL}
    assert sum(tally.refusals.values()) == 0


def test_times_that_a_prediction_has_are_observed_and_no_others() -> None:
    tally = Tally()

    end(tally, Status.SUCCEEDED, output=b"1", predict_time=0.5)
    end(tally, Status.FAILED, error="the worker died")

    assert (tally.queue_times.count, tally.predict_times.count, tally.first_outputs.count) == (2, 1, 1)
    assert tally.predict_times.sum == 0.5


def test_one_that_the_queue_gave_up_is_refused_and_has_not_failed() -> None:
    tally = Tally()
    prediction = Prediction("a", 1, b"{}")
    prediction.is_refused = True
    prediction.finish(Status.FAILED)

    tally.prediction_ended(prediction)

    assert tally.refusals[RefusalReason.QUEUE] == 1
    assert tally.durations[Status.FAILED].count == 0


def test_one_whose_input_the_worker_refused_is_refused_and_has_not_failed() -> None:
    tally = Tally()

    end(tally, Status.FAILED, problems=b"[]")

    assert tally.refusals[RefusalReason.INVALID] == 1
    assert tally.durations[Status.FAILED].count == 0


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (BusyError("full", 1), RefusalReason.BUSY),
        (CallerLimitError("yours", 1), RefusalReason.CALLER_LIMIT),
        (NotReadyError("setup"), RefusalReason.NOT_READY),
        (InputError([]), RefusalReason.INVALID),
        (Refusal(409, "taken"), RefusalReason.INVALID),
        (Refusal(507, "the disk is full"), RefusalReason.FAULT),
        (OutputError("no"), RefusalReason.FAULT),
    ],
)
def test_a_refusal_has_a_reason(error: Refusal | ServekitError, reason: RefusalReason) -> None:
    tally = Tally()

    tally.request_refused(error)

    assert tally.refusals == {each: each is reason for each in RefusalReason}


async def test_a_worker_is_counted_at_its_start_its_readiness_and_its_end(worker: WorkerHandle) -> None:
    tally = Tally()
    worker.note_cause(DeathCause.SIGKILL)

    tally.worker_started(worker)
    tally.worker_ready(worker)
    tally.worker_gone(worker, "killed")

    assert (tally.starts, tally.restarts, tally.setups.count) == (1, 0, 1)
    assert tally.deaths == {cause: cause is DeathCause.SIGKILL for cause in DeathCause}


async def test_a_worker_in_the_place_of_another_is_a_restart(worker: WorkerHandle) -> None:
    tally = Tally()
    worker.is_replacement = True

    tally.worker_started(worker)

    assert (tally.starts, tally.restarts) == (1, 1)
