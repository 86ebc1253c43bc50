"""What a crew makes of the words of workers that it has told to go."""

import asyncio
from collections.abc import Callable

import pytest
from fake_worker import LOADED, FakeWorker

from servekit.runtime.handle import WorkerState
from servekit.runtime.pool import Pool
from servekit.runtime.protocol import Ready
from servekit.spec import Spec


async def test_a_worker_that_is_told_to_go_while_it_loads_is_not_set_up(
    make_project: Callable[..., Spec], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("servekit.runtime.worker_factory.ProcessHandle", FakeWorker)
    FakeWorker.all.clear()
    pool = Pool(make_project("", workers=1), python="")
    await pool.start()
    pool.set_up()
    [worker] = FakeWorker.all
    closing = asyncio.create_task(pool.close(60))
    while not worker.is_told_to_leave:
        await asyncio.sleep(0)

    worker.say(LOADED)
    worker.say(Ready())

    assert not worker.may_set_up
    assert worker.state is WorkerState.CLOSING
    worker.die("as it was told")
    await closing
