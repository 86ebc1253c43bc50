"""A worker is told what is configured as often as it takes it in."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_worker import FakeWorker

import servekit
from servekit import configure, isolated_settings
from servekit.runtime.handle import WorkerState
from servekit.runtime.protocol import Configure, ToWorker
from servekit.runtime.settings import WorkerSettings
from servekit.runtime.settings_feed import SettingsFeed
from servekit.spec import Spec


class Listener(FakeWorker):
    """Keeps what it is told to configure."""

    told: list[bytes]

    def send(self, message: ToWorker) -> None:
        if isinstance(message, Configure):
            self.told.append(message.values)


@pytest.fixture(autouse=True)
def _tuning() -> Iterator[None]:
    with isolated_settings():

        class Tuning(servekit.Settings):
            value: int = 0

        del Tuning
        yield


def listener(tmp_path: Path, state: WorkerState) -> Listener:
    settings = WorkerSettings.from_spec(Spec(predictor="predict.py:predict", path=tmp_path / "servekit.yaml"), tmp_path)
    worker = Listener(1, settings, None)  # type: ignore[arg-type]  # it says nothing
    worker.told = []
    worker.state = state
    return worker


async def test_a_worker_that_does_not_answer_is_told_once_and_gets_the_newest_afterwards(tmp_path: Path) -> None:
    worker = listener(tmp_path, WorkerState.READY)
    feed = SettingsFeed([worker])
    feed.open()

    for value in range(1, 9):
        configure(value=value)
        await asyncio.sleep(0)
    before = list(worker.told)
    feed.on_configured(worker)
    feed.close()

    assert before == [b'{"value":[1,1]}']
    assert worker.told[1:] == [b'{"value":[8,8]}']


async def test_a_worker_that_may_not_be_connected_is_told_when_it_has_loaded(tmp_path: Path) -> None:
    worker = listener(tmp_path, WorkerState.STARTING)
    feed = SettingsFeed([worker])
    feed.open()

    configure(value=1)
    await asyncio.sleep(0)
    before = list(worker.told)
    feed.sync(worker)
    feed.close()

    assert (before, worker.told) == ([], [b'{"value":[1,1]}'])
