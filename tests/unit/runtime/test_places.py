"""What becomes of the places of workers."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from fake_worker import FakeWorker

from servekit.runtime.capacity import plan_capacity
from servekit.runtime.places import Places
from servekit.runtime.settings import WorkerSettings
from servekit.spec import Spec


async def test_a_worker_that_becomes_ready_ends_the_growth_of_pauses(tmp_path: Path) -> None:
    spec = Spec(predictor="predict.py:Predictor", path=tmp_path / "servekit.yaml")
    crew: Any = SimpleNamespace(workers=[])
    places = Places(crew, plan_capacity(spec, devices=()))
    nobody: Any = None
    workers = [FakeWorker(number, WorkerSettings.from_spec(spec, tmp_path), nobody) for number in range(8)]

    growing = [places.choose_pause(worker) for worker in workers[:-1]]
    places.occupy(workers[-1])
    after = places.choose_pause(workers[-1])

    assert growing[0] <= 1 < growing[-1]
    assert after <= 1
