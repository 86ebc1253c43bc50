"""Workers that do not answer: found, reported, spared or replaced, and what that means for predictions."""

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from pools import RunPool, begun, ended, start

from servekit.runtime import watchdog
from servekit.runtime.death import DeathCause
from servekit.runtime.handle import WorkerHandle
from servekit.runtime.observer import PoolObserver
from servekit.runtime.pool import Pool
from servekit.runtime.prediction import Status
from servekit.runtime.pulse import Hang

both = pytest.mark.parametrize("isolation", ["process", "thread"])

# Each blocks its worker's loop until the file `gate` is there.
BLOCKED = {
    "a C call that holds the GIL": """
        import ctypes
        from pathlib import Path
        wait = ctypes.PyDLL(None).usleep
        class Predictor:
            def predict(self, block: bool = True) -> str:
                while block and not Path("gate").exists():
                    wait(600_000_000)
                return "whole"
    """,
    "time.sleep in async code": """
        import time
        from pathlib import Path
        class Predictor:
            async def predict(self, block: bool = True) -> str:
                while block and not Path("gate").exists():
                    time.sleep(0.01)
                return "whole"
    """,
}
BLOCKED_LOOP = BLOCKED["time.sleep in async code"]


class Log(PoolObserver):
    """Remembers what was told of workers."""

    def __init__(self) -> None:
        self.blocked: list[tuple[WorkerHandle, Hang]] = []
        self.unblocked: list[tuple[WorkerHandle, Hang]] = []
        self.gone: list[str] = []
        self._news = asyncio.Event()

    def worker_blocked(self, worker: WorkerHandle, hang: Hang) -> None:
        self.blocked.append((worker, hang))
        self._news.set()

    def worker_unblocked(self, worker: WorkerHandle, hang: Hang) -> None:
        self.unblocked.append((worker, hang))
        self._news.set()

    def worker_gone(self, worker: WorkerHandle, reason: str) -> None:
        self.gone.append(reason)

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(20):
            while not condition():
                self._news.clear()
                await self._news.wait()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a worker count as blocked after a fraction of a second."""
    monkeypatch.setattr(watchdog, "_REPORT_SECONDS", 0.4)


async def until_slots_are_free(pool: Pool, count: int) -> None:
    async with asyncio.timeout(20):
        while pool.free_slots < count:
            await asyncio.sleep(0.01)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("what", BLOCKED)
async def test_a_blocked_worker_is_reported_once_with_the_authors_frames(run_pool: RunPool, what: str) -> None:
    log = Log()
    async with run_pool(BLOCKED[what], observer=log) as pool:
        start(pool)
        await log.until(lambda: log.blocked)
        turns = pool.workers[0].pulse
        while turns.silence(1.0)[0] < 10:  # ten more times it was looked at
            await asyncio.sleep(0.01)

        ((worker, hang),) = log.blocked
        assert worker is pool.workers[0]
        assert (hang.where, hang.seconds >= 0.4) == ("loop", True)
        assert 'predict.py", line' in hang.stack
        assert "servekit/" not in hang.stack
        await pool.close(0)


@both
@pytest.mark.usefixtures("quick")
async def test_a_worker_that_answers_again_takes_predictions_again(
    run_pool: RunPool, isolation: str, tmp_path: Path
) -> None:
    log = Log()
    gate = tmp_path / "project" / "gate"
    code = BLOCKED_LOOP.replace('"gate"', repr(str(gate)))
    async with run_pool(code, observer=log, isolation=isolation, concurrency=2) as pool:
        blocking = start(pool)
        await log.until(lambda: log.blocked)
        assert (pool.is_blocked, pool.free_slots) == (True, 0)
        waiting = start(pool, block=False)
        assert waiting.status is Status.STARTING
        gate.touch()
        await ended(blocking)
        await ended(waiting)

        assert [waiting.output, blocking.output] == [b'"whole"', b'"whole"']
        assert [worker for worker, _ in log.unblocked] == pool.workers
        assert (pool.is_blocked, pool.blocked_workers) == (False, [])


@pytest.mark.usefixtures("quick")
async def test_a_stopped_process_is_reported_as_the_kernel_has_it(run_pool: RunPool) -> None:
    log = Log()
    async with run_pool("class Predictor:\n def predict(self) -> int:\n  return 1\n", observer=log) as pool:
        pid = pool.workers[0].pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        await log.until(lambda: log.blocked)
        os.kill(pid, signal.SIGCONT)
        await log.until(lambda: log.unblocked)

        assert "it was stopped by a signal" in log.blocked[0][1].stack
        assert (await ended(start(pool))).output == b"1"


@pytest.mark.usefixtures("quick")
async def test_predict_threads_that_are_lost_are_reported(run_pool: RunPool) -> None:
    code = """
        import gc, time
        from concurrent.futures import ThreadPoolExecutor
        class Predictor:
            def predict(self, block: bool = True) -> str:
                if block:  # something of the author's takes the thread that the worker believes to be free
                    (pool,) = [each for each in gc.get_objects() if type(each).__name__ == "ContextThreadPoolExecutor"]
                    pool.submit(time.sleep, 600)
                return "whole"
    """
    log = Log()
    async with run_pool(code, observer=log) as pool:
        await ended(start(pool))
        await log.until(lambda: log.blocked)

        assert log.blocked[0][1].where == "threads"
        assert "have taken no work" in log.blocked[0][1].describe()


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("concurrency", [1, 4])
async def test_a_busy_python_loop_is_no_hang(run_pool: RunPool, concurrency: int) -> None:
    code = """
        class Predictor:
            def predict(self) -> None:
                print("begun")
                while True:
                    pass
    """
    log = Log()
    async with run_pool(code, observer=log, concurrency=concurrency) as pool:
        for _ in range(concurrency):
            await begun(start(pool))
        pulse, seen = pool.workers[0].pulse, set[int]()
        async with asyncio.timeout(30):
            while len(seen) < 10:
                seen.add(pulse._number)
                await asyncio.sleep(0.01)

        assert log.blocked == []
        await pool.close(0)


@pytest.mark.usefixtures("quick")
async def test_a_hang_does_not_hold_up_other_workers(run_pool: RunPool) -> None:
    log = Log()
    async with run_pool(BLOCKED["a C call that holds the GIL"], observer=log, workers=2) as pool:
        await until_slots_are_free(pool, 2)
        start(pool)
        await log.until(lambda: log.blocked)
        for _ in range(20):
            assert (await ended(start(pool, block=False))).output == b'"whole"'
        await pool.close(0)


@pytest.mark.parametrize("what", BLOCKED)
async def test_a_worker_is_replaced_after_the_hang_timeout(run_pool: RunPool, what: str) -> None:
    log = Log()
    async with run_pool(BLOCKED[what], observer=log, hang_timeout="1s", workers=2) as pool:
        await until_slots_are_free(pool, 2)
        lost = start(pool)
        (victim,) = (worker for worker in pool.workers if worker.running)
        (other,) = (worker for worker in pool.workers if worker is not victim)
        await ended(lost)
        await until_slots_are_free(pool, 2)

        assert lost.status is Status.FAILED
        assert lost.error is not None
        assert "its event loop has not answered for 1 s (serve.hang_timeout is 1 s)" in lost.error
        assert "raise serve.hang_timeout" in lost.error
        assert "SIGKILL" not in lost.error
        assert victim.cause is DeathCause.HANG
        assert (other in pool.workers, victim in pool.workers) == (True, False)
        assert log.gone == [lost.error]
        assert [worker for worker, _ in log.blocked] == [victim]


def outlive(**_: object) -> None:
    """Stand in for `kill`, which has no effect as long as the process is in an uninterruptible call."""


async def test_predictions_of_a_hang_end_before_the_process_does(
    run_pool: RunPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with run_pool(BLOCKED_LOOP, hang_timeout="1s") as pool:
        worker = pool.workers[0]
        with monkeypatch.context() as patch:
            patch.setattr(worker, "kill", outlive)
            lost = await ended(start(pool))
            assert lost.status is Status.FAILED
            assert pool.workers == [worker]
        worker.kill()
        await until_slots_are_free(pool, 1)


async def test_a_blocked_worker_in_a_thread_is_given_up_after_the_hang_timeout(
    run_pool: RunPool, tmp_path: Path
) -> None:
    gate = tmp_path / "project" / "gate"
    code = BLOCKED_LOOP.replace('"gate"', repr(str(gate)))
    async with run_pool(code, isolation="thread", hang_timeout="1s") as pool:
        lost = await ended(start(pool))
        after = await ended(start(pool, block=False))
        gate.touch()

    assert "serve.hang_timeout is 1 s" in str(lost.error)
    assert after.output == b'"whole"'


async def test_without_a_hang_timeout_nothing_is_killed(run_pool: RunPool, tmp_path: Path) -> None:
    log = Log()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(watchdog, "_REPORT_SECONDS", 0.2)
        async with run_pool(BLOCKED_LOOP, observer=log) as pool:
            prediction = start(pool)
            await log.until(lambda: log.blocked)
            while pool.workers[0].pulse.silence(1.0)[0] < 20:
                await asyncio.sleep(0.01)
            (tmp_path / "project" / "gate").touch()
            assert (await ended(prediction)).output == b'"whole"'
