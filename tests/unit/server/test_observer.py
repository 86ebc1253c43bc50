"""What happens in the pool, as the log has it."""

from pathlib import Path

import pytest
from logbook import Logbook

from servekit.errors import PredictorError, SetupError
from servekit.runtime.handle import WorkerHandle
from servekit.runtime.prediction import Prediction, Status
from servekit.runtime.protocol import ToServer
from servekit.runtime.settings import WorkerSettings
from servekit.server.observer import ServerObserver
from servekit.spec import HistorySpec, Spec
from servekit.store import MemoryStore


class Deaf:
    """Worker events that nobody is interested in."""

    def on_messages(self, worker: WorkerHandle, messages: list[ToServer]) -> None: ...
    def on_output(self, worker: WorkerHandle, source: str, text: str) -> None: ...
    def on_death(self, worker: WorkerHandle, reason: str) -> None: ...


@pytest.fixture
def observer(logbook: Logbook) -> ServerObserver:
    return ServerObserver(lambda: logbook.log)


@pytest.fixture
async def worker(tmp_path: Path) -> WorkerHandle:
    spec = Spec(predictor="predict.py:Predictor", path=tmp_path / "servekit.yaml")
    return WorkerHandle(3, WorkerSettings.from_spec(spec, tmp_path), Deaf())


def events(logbook: Logbook) -> list[str]:
    return [line["event"] for line in logbook.lines]


async def test_output_is_logged_line_by_line_wherever_it_was_cut(
    logbook: Logbook, observer: ServerObserver, worker: WorkerHandle
) -> None:
    for piece in ("on", "e\ntw", "o\n\nthr", "ee\n"):
        observer.worker_output(worker, "stdout", piece)

    assert events(logbook) == ["one", "two", "three"]
    assert {(line["worker"], line["source"]) for line in logbook.lines} == {(3, "stdout")}


async def test_the_two_streams_of_a_worker_do_not_mix(
    logbook: Logbook, observer: ServerObserver, worker: WorkerHandle
) -> None:
    observer.worker_output(worker, "stdout", "out")
    observer.worker_output(worker, "stderr", "err\n")
    observer.worker_output(worker, "stdout", "put\n")

    assert events(logbook) == ["err", "output"]


async def test_a_line_without_end_is_logged_cut_and_not_kept(
    logbook: Logbook, observer: ServerObserver, worker: WorkerHandle
) -> None:
    for _ in range(100):
        observer.worker_output(worker, "stdout", "x" * 1000)

    assert max(map(len, events(logbook))) == 4096
    assert len(events(logbook)) == 20


async def test_the_last_words_of_a_worker_are_logged_before_its_death(
    logbook: Logbook, observer: ServerObserver, worker: WorkerHandle
) -> None:
    observer.worker_output(worker, "stderr", "fatal")

    observer.worker_gone(worker, "killed by signal 9")

    assert events(logbook) == ["fatal", "worker died"]
    assert logbook.lines[-1]["reason"] == "killed by signal 9"
    assert logbook.lines[-1]["level"] == "error"


@pytest.mark.parametrize("why", ["retiring", "stopping", "failed"])
async def test_a_worker_that_goes_for_a_reason_is_no_error(
    logbook: Logbook, observer: ServerObserver, worker: WorkerHandle, why: str
) -> None:
    worker.is_retiring = why == "retiring"
    observer.is_stopping = why == "stopping"
    worker.failure = SetupError("no") if why == "failed" else None

    observer.worker_gone(worker, "exited with code 0")

    assert [(line["level"], line["event"]) for line in logbook.lines] == [("info", "worker closed")]


def test_a_setup_failure_is_logged_with_the_whole_story(logbook: Logbook, observer: ServerObserver) -> None:
    observer.setup_failed(SetupError("setup failed: no weights\n\nTraceback:\n  line"))

    (line,) = logbook.lines
    assert (line["level"], line["event"], line["traceback"]) == (
        "error",
        "setup failed: no weights",
        "Traceback:\n  line",
    )


def test_a_failure_without_a_story_is_logged_without_one(logbook: Logbook, observer: ServerObserver) -> None:
    observer.setup_failed(PredictorError("predict.py has no class 'Predictr'"), 1.0)

    assert "traceback" not in logbook.lines[0]


async def test_a_story_is_told_once_and_each_retry_announced(
    logbook: Logbook, observer: ServerObserver, worker: WorkerHandle
) -> None:
    observer.setup_failed(SetupError("no weights\n\nline 1"), 0.4321)
    observer.setup_failed(SetupError("no weights\n\nline 1"), 2)
    observer.setup_failed(SetupError("no weights\n\nline 2"), 3)
    observer.worker_ready(worker)
    observer.setup_failed(SetupError("no weights\n\nline 2"), 4)

    told = [(line["event"], line.get("traceback")) for line in logbook.lines if line["level"] == "error"]
    assert told == [
        ("no weights; retrying in 0.4 s", "line 1"),
        ("no weights (as before); retrying in 2.0 s", None),
        ("no weights; retrying in 3.0 s", "line 2"),
        ("no weights; retrying in 4.0 s", "line 2"),
    ]


def test_new_code_that_fails_beside_the_old_one_is_not_said_to_be_retried(
    logbook: Logbook, observer: ServerObserver
) -> None:
    observer.keeps_old_code = True

    observer.setup_failed(SetupError("no weights"), 2)

    assert events(logbook) == ["no weights"]


@pytest.mark.parametrize(
    ("status", "logged"),
    [
        (Status.SUCCEEDED, []),
        (Status.CANCELED, [("prediction ended", "abc", "canceled", "why")]),
        (Status.FAILED, [("prediction ended", "abc", "failed", "why")]),
    ],
)
def test_an_end_is_logged_unless_all_went_well(
    logbook: Logbook, observer: ServerObserver, status: Status, logged: list[tuple[str, ...]]
) -> None:
    prediction = Prediction("abc", 1, b'{"text":"private"}')
    prediction.finish(status, error=None if status is Status.SUCCEEDED else "why")

    observer.prediction_ended(prediction)

    found = [(line["event"], line["prediction"], line["status"], line["error"]) for line in logbook.lines]
    assert found == logged
    assert "private" not in str(logbook.lines)


def test_the_store_is_told_of_an_end(observer: ServerObserver) -> None:
    observer.store = store = MemoryStore(HistorySpec(max=0))
    prediction = Prediction("abc", 1, b"{}")
    store.put(prediction)
    prediction.finish(Status.SUCCEEDED)

    observer.prediction_ended(prediction)

    assert len(store) == 0
