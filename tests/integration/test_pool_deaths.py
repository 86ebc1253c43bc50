"""Each end of a worker has a cause that can be counted, and a server that wanted it is not confused with a crash."""

import asyncio
import os
import signal

import pytest
from pools import RunPool, begun, start

from servekit.errors import SetupError
from servekit.runtime.death import DeathCause
from servekit.runtime.handle import WorkerHandle
from servekit.runtime.observer import PoolObserver

ACTS = """
    import os
    import signal
    import time

    class Predictor:
        def predict(self, act: str = "") -> str:
            print("begun")
            match act:
                case "exit":
                    os._exit(3)
                case "close":
                    for number in os.listdir("/proc/self/fd"):
                        if os.path.exists(f"/proc/self/fd/{number}") and "socket" in os.readlink(f"/proc/self/fd/{number}"):
                            os.close(int(number))
                    time.sleep(60)
                case "sleep":
                    time.sleep(60)
                case "":
                    return "done"
                case name:
                    os.kill(os.getpid(), signal.Signals[name])
"""  # noqa: E501


class _Listener(PoolObserver):
    def __init__(self) -> None:
        self.started: list[WorkerHandle] = []
        self.gone: asyncio.Queue[tuple[WorkerHandle, str]] = asyncio.Queue()

    def worker_started(self, worker: WorkerHandle) -> None:
        self.started.append(worker)

    def worker_gone(self, worker: WorkerHandle, reason: str) -> None:
        self.gone.put_nowait((worker, reason))

    async def next_cause(self) -> DeathCause | None:
        worker, _ = await asyncio.wait_for(self.gone.get(), 20)
        return worker.cause


@pytest.fixture
def listener() -> _Listener:
    return _Listener()


@pytest.mark.parametrize(
    ("act", "cause"),
    [
        ("exit", DeathCause.EXIT),
        ("SIGSEGV", DeathCause.SIGSEGV),
        ("SIGKILL", DeathCause.SIGKILL),
    ],
)
async def test_what_a_model_does_to_its_process_is_the_cause(
    run_pool: RunPool, listener: _Listener, act: str, cause: DeathCause
) -> None:
    async with run_pool(ACTS, observer=listener) as pool:
        start(pool, act=act)

        assert await listener.next_cause() is cause


async def test_a_socket_that_closes_under_a_living_process_is_the_cause(run_pool: RunPool, listener: _Listener) -> None:
    async with run_pool(ACTS, observer=listener) as pool:
        prediction = start(pool, act="close")

        assert await listener.next_cause() is DeathCause.DISCONNECTED

    assert "closed its connection" in (prediction.error or "")


@pytest.mark.parametrize("isolation", ["process", "thread"])
async def test_code_that_does_not_stop_is_the_cause(run_pool: RunPool, listener: _Listener, isolation: str) -> None:
    async with run_pool(ACTS, observer=listener, isolation=isolation, cancel_grace=0.1) as pool:
        prediction = start(pool, act="sleep")
        await begun(prediction)
        pool.cancel(prediction, "enough")

        assert await listener.next_cause() is DeathCause.STUCK
        await asyncio.wait_for(pool.ready(), 20)

    assert [worker.is_replacement for worker in listener.started] == [False, True]


@pytest.mark.parametrize(
    ("setup", "limit", "cause"),
    [("raise ValueError", 20, DeathCause.SETUP_FAILED), ("time.sleep(60)", 1, DeathCause.SETUP_TIMEOUT)],
)
async def test_a_setup_that_comes_to_nothing_is_the_cause(
    run_pool: RunPool, listener: _Listener, setup: str, limit: int, cause: DeathCause
) -> None:
    code = f"""
        import time
        class Predictor:
            def setup(self) -> None:
                {setup}
            def predict(self) -> str:
                return ""
    """
    with pytest.raises(SetupError):
        async with run_pool(code, observer=listener, setup_timeout=limit):
            pass

    assert await listener.next_cause() is cause


async def test_a_worker_that_crashes_during_setup_has_the_crash_as_its_cause(
    run_pool: RunPool, listener: _Listener
) -> None:
    code = """
        import os, signal
        class Predictor:
            def setup(self) -> None:
                os.kill(os.getpid(), signal.SIGKILL)
            def predict(self) -> str:
                return ""
    """
    with pytest.raises(SetupError):
        async with run_pool(code, observer=listener):
            pass

    assert await listener.next_cause() is DeathCause.SIGKILL


async def test_what_the_server_wanted_is_the_cause(run_pool: RunPool, listener: _Listener) -> None:
    async with run_pool(ACTS, observer=listener) as pool:
        await pool.reload()
        assert await listener.next_cause() is DeathCause.RELOADED

    assert await listener.next_cause() is DeathCause.SHUTDOWN


async def test_a_crash_is_the_cause_though_the_server_had_wanted_the_end(
    run_pool: RunPool, listener: _Listener
) -> None:
    async with run_pool(ACTS, observer=listener) as pool:
        prediction = start(pool, act="sleep")
        await begun(prediction)
        (worker,) = pool.workers
        await pool.reload()  # the old worker finishes what it has

        assert worker.pid is not None
        os.kill(worker.pid, signal.SIGKILL)

        assert await listener.next_cause() is DeathCause.SIGKILL


async def test_only_a_start_in_the_place_of_another_is_a_replacement(run_pool: RunPool, listener: _Listener) -> None:
    async with run_pool(ACTS, observer=listener, workers=2) as pool:
        start(pool, act="exit")
        await listener.next_cause()
        await asyncio.wait_for(pool.ready(), 20)
        while len(listener.started) < 3:
            await asyncio.sleep(0.01)

    assert [worker.is_replacement for worker in listener.started] == [False, False, True]
