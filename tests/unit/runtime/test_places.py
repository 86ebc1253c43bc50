"""What becomes of the places of workers."""

from functools import partial
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
    start = partial(FakeWorker, settings=WorkerSettings.from_spec(spec, tmp_path), events=nobody)

    growing = [places.choose_pause(start(number)) for number in range(8)]
    places.occupy(start(8))
    after = places.choose_pause(start(9))

    assert growing[0] <= 1 < growing[-1]
    assert after <= 1
