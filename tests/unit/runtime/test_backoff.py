"""How long the place of a worker that is gone stays empty."""

import asyncio
from pathlib import Path

import pytest

from servekit.runtime.backoff import Backoff
from servekit.runtime.handle import WorkerHandle
from servekit.runtime.protocol import ToServer
from servekit.runtime.pulse import Hang
from servekit.runtime.settings import WorkerSettings
from servekit.spec import Spec


class Deaf:
    """Worker events that nobody is interested in."""

    def on_messages(self, worker: WorkerHandle, messages: list[ToServer]) -> None: ...
    def on_output(self, worker: WorkerHandle, source: str, text: str) -> None: ...
    def on_death(self, worker: WorkerHandle, reason: str) -> None: ...


def choose_in_turn(backoff: Backoff, workers: list[WorkerHandle], *, had_been_ready: bool) -> list[float]:
    """Choose the pauses after workers of which each is started when the one before it has gone."""
    pauses: list[float] = []
    for worker in workers:
        worker.started_at = asyncio.get_running_loop().time()
        pauses.append(backoff.choose(worker, had_been_ready=had_been_ready))
    return pauses


@pytest.fixture
async def workers(tmp_path: Path) -> list[WorkerHandle]:
    spec = Spec(predictor="predict.py:Predictor", path=tmp_path / "servekit.yaml")
    return [WorkerHandle(number, WorkerSettings.from_spec(spec, tmp_path), Deaf()) for number in range(20)]


async def test_workers_that_die_again_and_again_are_replaced_after_growing_pauses(workers: list[WorkerHandle]) -> None:
    backoff = Backoff()

    pauses = choose_in_turn(backoff, workers[:4], had_been_ready=True)

    assert pauses[0] == 0.0
    assert 1.0 <= pauses[1] <= 2.0 <= pauses[2] <= 4.0 <= pauses[3] <= 8.0


async def test_workers_that_are_killed_for_a_hang_are_replaced_at_once(workers: list[WorkerHandle]) -> None:
    backoff = Backoff()
    for worker in workers:
        worker.pulse.hang = Hang("loop", 0.0, 0.0, is_final=True)

    assert [backoff.choose(worker, had_been_ready=True) for worker in workers] == [0.0] * 20


async def test_workers_that_cannot_be_made_ready_are_tried_once_a_minute_at_last(workers: list[WorkerHandle]) -> None:
    backoff = Backoff()

    pauses = choose_in_turn(backoff, workers, had_been_ready=False)

    assert pauses[0] <= 1
    assert 30 <= pauses[-1] <= 60


async def test_the_place_of_a_worker_that_was_of_use_is_never_empty_for_long(workers: list[WorkerHandle]) -> None:
    backoff = Backoff()
    for worker in workers:
        worker.completed = 1

    pauses = choose_in_turn(backoff, workers, had_been_ready=True)

    assert pauses[0] == 0
    assert 1 <= pauses[-1] <= 2


async def test_a_setup_that_fails_now_and_then_is_tried_again_soon(workers: list[WorkerHandle]) -> None:
    backoff = Backoff()
    pauses: list[float] = []
    for worker in workers:
        pauses += choose_in_turn(backoff, [worker], had_been_ready=False)
        backoff.note_ready()

    assert max(pauses) <= 1


@pytest.mark.parametrize("had_been_ready", [False, True])
async def test_workers_that_fail_together_are_tried_again_as_soon_as_one(
    workers: list[WorkerHandle], had_been_ready: bool
) -> None:
    backoff = Backoff()
    for worker in workers:
        worker.started_at = asyncio.get_running_loop().time()

    pauses = [backoff.choose(worker, had_been_ready=had_been_ready) for worker in workers]

    assert max(pauses) <= 1


async def test_a_worker_that_died_of_its_first_prediction_is_replaced_soon_while_others_are_of_use(
    workers: list[WorkerHandle],
) -> None:
    backoff = Backoff()
    for worker in workers[::2]:
        worker.completed = 1

    pauses = choose_in_turn(backoff, workers, had_been_ready=True)

    assert max(pauses) <= 2
