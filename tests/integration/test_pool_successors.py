"""Who comes in a worker's place when several things happen to it at once."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pool_events import PoolEvents
from pools import RunPool, start

from servekit.errors import NotReadyError, SetupError
from servekit.runtime.handle import WorkerHandle, WorkerState
from servekit.runtime.pool import Pool
from servekit.runtime.prediction import Prediction, Status
from servekit.server.state import State, state_of
from servekit.spec import Spec

MakeProject = Callable[..., Spec]

ACTS = """
    import os, pathlib, signal, subprocess, time
    class Predictor:
        def setup(self) -> None:
            {setup}
        def predict(self, act: str = "", gate: str = "") -> int:
            print("began")
            while gate:
                try:
                    while not pathlib.Path(gate).exists():
                        time.sleep(0.005)
                    break
                except BaseException:
                    if act != "ignore":
                        raise
            if act == "die":
                os.kill(os.getpid(), signal.SIGKILL)
            return os.getpid()
"""


def code(setup: str = "pass") -> str:
    return ACTS.format(setup=setup)


def wait_for(gate: Path, *, then: str = "pass", unless: str = "False") -> str:
    """Return a line of `setup` that waits for a file, and does something then."""
    return f"[time.sleep(0.005) for _ in iter(lambda: {unless} or pathlib.Path({str(gate)!r}).exists(), True)]; {then}"


async def predict(pool: Pool) -> Prediction:
    prediction = start(pool)
    await prediction.done()
    return prediction


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what nobody tells."""
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.005)


async def all_ready(pool: Pool) -> None:
    """Wait for both workers: a pool is ready with the first, and the other may load what is written next."""
    await until(lambda: sum(worker.is_able for worker in pool.workers) == 2)


def count_in_setup(pool: Pool) -> int:
    return sum(worker.state is WorkerState.LOADED for worker in pool.workers)


async def test_a_reload_is_not_blamed_for_the_workers_of_a_failed_one(
    run_pool: RunPool, make_project: MakeProject, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    async with run_pool(code(), workers=2) as pool:
        await all_ready(pool)
        stays = 'os.environ["SERVEKIT_WORKER"] == "4"'
        make_project(code(wait_for(gate, then=f"{stays} and time.sleep(600); raise RuntimeError('typo')")), workers=2)
        failed = asyncio.create_task(pool.reload())
        await until(lambda: count_in_setup(pool) == 2)
        make_project(code(), workers=2)
        good = asyncio.create_task(pool.reload())
        gate.touch()

        with pytest.raises(SetupError, match="typo"):
            await failed
        await good
        assert [worker.number for worker in pool.workers if worker.is_able] == [5, 6]


async def test_a_reload_is_not_blamed_for_the_old_code(make_project: MakeProject, tmp_path: Path) -> None:
    gate, events = tmp_path / "gate", PoolEvents()
    is_first = 'os.environ["SERVEKIT_WORKER"] == "1"'
    bad = make_project(code(wait_for(gate, unless=is_first, then="raise RuntimeError('typo')")))
    pool = Pool(bad, python=sys.executable, observer=events)
    try:
        await pool.start()
        pool.set_up()
        await until(lambda: [worker.number for worker in pool.workers] == [2] and count_in_setup(pool) == 1)
        make_project(code(wait_for(tmp_path / "other")))
        reloading = asyncio.create_task(pool.reload())
        await until(lambda: count_in_setup(pool) == 2)
        gate.touch()
        await events.until(lambda: len(events.failures) == 2)
        (tmp_path / "other").touch()

        await reloading
        assert (await predict(pool)).status is Status.SUCCEEDED
    finally:
        await pool.close(0)


async def test_new_code_takes_over_as_a_whole_or_not_at_all(
    run_pool: RunPool, make_project: MakeProject, tmp_path: Path
) -> None:
    events, gate = PoolEvents(), tmp_path / "gate"
    is_third = 'os.environ["SERVEKIT_WORKER"] == "3"'
    async with run_pool(code(), observer=events, workers=2) as pool:
        await all_ready(pool)
        new = code(wait_for(gate, unless=is_third, then=f"assert {is_third}")).replace("act: str", "verb: str")
        make_project(new, workers=2)
        reloading = asyncio.create_task(pool.reload())
        await events.until(lambda: 3 in events.ready)
        running = [start(pool, act="wait", gate=str(gate)) for _ in range(3)]
        assert {worker.number for worker in pool.workers if worker.running} == {1, 2}
        assert pool.model is not None
        gate.touch()

        with pytest.raises(SetupError):
            await reloading
        await asyncio.gather(*(each.done() for each in running))
        assert {each.status for each in running} == {Status.SUCCEEDED}
        assert "act" in pool.model.input_schema["properties"]


async def test_nothing_is_started_any_more_when_a_pool_goes_in_the_midst_of_a_reload(
    run_pool: RunPool, make_project: MakeProject, tmp_path: Path
) -> None:
    events = PoolEvents()
    async with run_pool(code(), observer=events, workers=2) as pool:
        await all_ready(pool)
        make_project(code(wait_for(tmp_path / "never")), workers=2)
        reloading = asyncio.create_task(pool.reload())
        await until(lambda: count_in_setup(pool) == 2)
        assert pool.workers[0].pid is not None
        os.kill(pool.workers[0].pid, signal.SIGKILL)
        await events.until(lambda: events.gone == [1])
        await pool.drain(0)
        await pool.close()

        with pytest.raises(NotReadyError):
            await reloading
        with pytest.raises(NotReadyError):
            await pool.reload()
        assert sorted(events.gone) == [1, 2, 3, 4]


async def test_a_successor_gets_the_gpu_of_the_worker_that_it_replaces(run_pool: RunPool) -> None:
    events, recycle = PoolEvents(), {"max_predictions": 1}
    async with run_pool(code(), observer=events, workers=2, recycle=recycle, devices=("0", "1")) as pool:
        for number in (1, 2):  # one after the other: the second one's GPU is as much used as the other
            while number not in events.outdated:
                await predict(pool)
            await events.until(partial(events.gone.__contains__, number))

        await until(lambda: len(pool.workers) == 2)
        assert {worker.devices for worker in pool.workers} == {("0",), ("1",)}


async def test_who_comes_for_a_worker_that_is_stuck_gets_its_gpu(run_pool: RunPool, tmp_path: Path) -> None:
    events, gate = PoolEvents(), str(tmp_path / "gate")
    limits: dict[str, Any] = {"workers": 2, "concurrency": 2, "cancel_grace": "10ms"}
    async with run_pool(code(), observer=events, devices=("0", "1"), **limits) as pool:
        await events.until(lambda: len(events.ready) == 2)
        predictions = [start(pool, act="ignore", gate=gate) for _ in range(4)]
        await until(lambda: all(each.logs for each in predictions))
        second = next(worker for worker in pool.workers if worker.devices == ("1",))
        pool.cancel(next(each for each in predictions if each.key in second.running), "canceled")
        await events.until(lambda: 3 in events.ready)

        assert pool.workers[-1].devices == ("1",)


async def test_a_worker_that_is_stuck_while_it_is_replaced_gets_one_successor(
    run_pool: RunPool, tmp_path: Path
) -> None:
    events, gate, setup = PoolEvents(), str(tmp_path / "gate"), tmp_path / "setup"
    is_not_second = 'os.environ["SERVEKIT_WORKER"] != "2"'
    limits: dict[str, Any] = {"concurrency": 3, "cancel_grace": "10ms", "recycle": {"max_predictions": 1}}
    async with run_pool(code(wait_for(setup, unless=is_not_second)), observer=events, **limits) as pool:
        stuck, other = (start(pool, act="ignore", gate=gate) for _ in range(2))
        await predict(pool)
        await until(lambda: len(pool.workers) == 2 and bool(stuck.logs))
        pool.cancel(stuck, "canceled")
        await events.until(lambda: 3 in events.ready)
        setup.touch()
        await events.until(lambda: events.gone == [2])

        assert sum(worker.is_able for worker in pool.workers) == 1
        assert not other.is_done


async def test_a_dead_worker_gets_no_predictions_while_its_last_words_are_waited_for(run_pool: RunPool) -> None:
    setup = 'subprocess.Popen(["sleep", "60"], start_new_session=True)  # it holds the pipes open'
    async with run_pool(code(setup), concurrency=2) as pool:
        worker: WorkerHandle = pool.workers[0]
        dying = start(pool, act="die")
        await until(lambda: not worker.is_able)
        assert worker.state is WorkerState.READY

        assert (await predict(pool)).status is Status.SUCCEEDED
        assert dying.status is Status.FAILED


async def test_a_server_without_workers_is_ready_while_none_is_needed(run_pool: RunPool) -> None:
    events = PoolEvents()
    scaling = {"idle_timeout": "100ms"}
    async with run_pool(code(), observer=events, workers={"min": 0, "max": 1}, scaling=scaling) as pool:
        await events.until(lambda: events.gone == [1])

        assert state_of(pool, was_ready=True) is State.READY
