"""How predictions end before their time: cancel, deadline, death of the worker, shutdown."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from pools import RunPool, begun, ended, start

from servekit.errors import BusyError, NotReadyError
from servekit.runtime.pool import Pool
from servekit.runtime.prediction import EventKind, Status

MakeProject = Callable[..., Any]

both = pytest.mark.parametrize("isolation", ["process", "thread"])

# Each says "begun" once it is under way, and would go on for ever.
ENDLESS = {
    "busy loop": """
        class Predictor:
            def predict(self):
                print("begun")
                while True:
                    pass
    """,
    "short sleeps": """
        import time
        class Predictor:
            def predict(self):
                print("begun")
                while True:
                    time.sleep(0.001)
    """,
    "except Exception": """
        import time
        class Predictor:
            def predict(self):
                print("begun")
                while True:
                    try:
                        time.sleep(0.001)
                    except Exception:
                        pass
    """,
    "generator": """
        import time
        class Predictor:
            def predict(self):
                print("begun")
                while True:
                    time.sleep(0.001)
                    yield 1
    """,
    "printing generator": """
        class Predictor:
            def predict(self):
                print("begun")
                while True:
                    print("x")
                    yield 1
    """,
    "async": """
        import asyncio
        class Predictor:
            async def predict(self):
                print("begun")
                await asyncio.Event().wait()
    """,
    "async generator": """
        import asyncio
        class Predictor:
            async def predict(self):
                print("begun")
                while True:
                    yield 1
                    await asyncio.sleep(0.001)
    """,
    "async generator that never waits": """
        class Predictor:
            async def predict(self):
                print("begun")
                while True:
                    yield 1
    """,
}


@both
@pytest.mark.parametrize("kind", ENDLESS)
async def test_a_cancel_stops_the_code_and_frees_the_slot(run_pool: RunPool, kind: str, isolation: str) -> None:
    async with run_pool(ENDLESS[kind], isolation=isolation, cancel_grace="20s") as pool:
        workers = list(pool.workers)
        for _ in range(5):
            prediction = start(pool)
            await begun(prediction)
            pool.cancel(prediction, "enough")
            await ended(prediction)

            assert (prediction.status, prediction.error) == (Status.CANCELED, "enough")
        assert pool.free_slots == 1
        assert pool.workers == workers


@both
async def test_clean_up_code_runs_when_a_prediction_is_canceled(run_pool: RunPool, isolation: str) -> None:
    code = """
        import time
        class Predictor:
            cleaned = 0
            def predict(self, ask: bool):
                if ask:
                    yield self.cleaned
                    return
                try:
                    print("begun")
                    while True:
                        time.sleep(0.001)
                        yield 1
                finally:
                    self.cleaned += 1
    """
    async with run_pool(code, isolation=isolation) as pool:
        for _ in range(20):
            prediction = start(pool, ask=False)
            await begun(prediction)
            pool.cancel(prediction, "enough")
            await ended(prediction)
        answer = await ended(start(pool, ask=True))

    assert answer.output == b"[20]"


@both
async def test_a_cancel_at_any_moment_ends_the_prediction_once(run_pool: RunPool, isolation: str) -> None:
    code = """
        class Predictor:
            def predict(self) -> int:
                return sum(range(2000))
    """
    async with run_pool(code, isolation=isolation, concurrency=4) as pool:
        for number in range(300):
            prediction = start(pool)
            for _ in range(number % 7):
                await asyncio.sleep(0)
            pool.cancel(prediction, "enough")
            await ended(prediction)
            assert prediction.kinds.count(EventKind.COMPLETED) == 1
        assert (await ended(start(pool))).output == str(sum(range(2000))).encode()


async def test_code_that_does_not_stop_ends_for_the_caller_and_its_worker_is_replaced(run_pool: RunPool) -> None:
    code = """
        import time
        class Predictor:
            def predict(self, block: bool) -> str:
                if block:
                    print("begun")
                    time.sleep(600)
                return "fine"
    """
    async with run_pool(code, cancel_grace=0.2) as pool:
        old = pool.workers[0]
        prediction = start(pool, block=True)
        await begun(prediction)
        pool.cancel(prediction, "enough")
        await ended(prediction)
        after = await ended(start(pool, block=False))

        assert prediction.status is Status.CANCELED
        assert after.output == b'"fine"'
        assert old not in pool.workers


async def test_a_worker_with_a_stuck_prediction_is_kept_while_others_run_on_it(run_pool: RunPool) -> None:
    code = """
        import time, asyncio
        class Predictor:
            def predict(self, seconds: float) -> str:
                print("begun")
                deadline = time.monotonic() + seconds
                while time.monotonic() < deadline:
                    time.sleep(min(seconds, 1.0)) if seconds < 100 else time.sleep(600)
                return "whole"
    """
    async with run_pool(code, cancel_grace=0.1, concurrency=2) as pool:
        stuck, fine = start(pool, seconds=600), start(pool, seconds=1)
        await begun(stuck)
        await begun(fine)
        pool.cancel(stuck, "enough")
        await ended(stuck)
        await ended(fine)
        after = await ended(start(pool, seconds=0))

    assert stuck.status is Status.CANCELED
    assert fine.output == b'"whole"'
    assert after.output == b'"whole"'


async def test_a_swallowed_cancel_still_ends_as_canceled(run_pool: RunPool) -> None:
    code = """
        import time
        class Predictor:
            def predict(self) -> str:
                print("begun")
                try:
                    while True:
                        time.sleep(0.001)
                except BaseException:
                    return "I went on"
    """
    async with run_pool(code) as pool:
        prediction = start(pool)
        await begun(prediction)
        pool.cancel(prediction, "enough")
        await ended(prediction)

    assert prediction.status is Status.CANCELED


@both
@pytest.mark.parametrize("kind", ["busy loop", "generator", "async", "async generator"])
async def test_a_prediction_that_takes_too_long_fails_and_says_so(run_pool: RunPool, kind: str, isolation: str) -> None:
    async with run_pool(ENDLESS[kind], isolation=isolation, timeout=0.3) as pool:
        prediction = await ended(start(pool))

    assert prediction.status is Status.FAILED
    assert prediction.error == "timed out: it took longer than 0.3 seconds (serve.timeout)"


@both
async def test_a_queued_prediction_is_canceled_at_once(run_pool: RunPool, isolation: str) -> None:
    async with run_pool(ENDLESS["async"], isolation=isolation) as pool:
        first, second = start(pool), start(pool)
        pool.cancel(second, "changed my mind")
        assert (second.status, second.started_at) == (Status.CANCELED, None)
        assert not first.is_done


@both
async def test_a_full_queue_refuses_with_a_time_to_come_back(run_pool: RunPool, isolation: str) -> None:
    async with run_pool(ENDLESS["async"], isolation=isolation, queue={"max": 2}) as pool:
        for _ in range(3):
            start(pool)
        with pytest.raises(BusyError, match="2 predictions wait already") as refused:
            start(pool)

    assert refused.value.retry_after_seconds >= 1


@both
async def test_waiting_too_long_in_the_queue_is_a_refusal(run_pool: RunPool, isolation: str) -> None:
    async with run_pool(ENDLESS["async"], isolation=isolation, queue={"max": 2, "timeout": 0.1}) as pool:
        start(pool)
        waiting = await ended(start(pool))

    assert waiting.is_refused
    assert waiting.error == "no slot became free within 0.1 seconds (serve.queue.timeout)"


async def test_waiting_counts_for_the_time_that_a_prediction_may_take(run_pool: RunPool, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    code = f"""
        import pathlib, time
        def predict() -> str:
            while not pathlib.Path({str(gate)!r}).exists():
                try:
                    time.sleep(0.01)
                except BaseException:
                    pass
            return ""
    """
    limits = {"timeout": 0.3, "cancel_grace": 60, "queue": {"timeout": 60}}
    async with run_pool(code, predictor="predict.py:predict", **limits) as pool:
        stubborn, waiting = start(pool), start(pool)
        await ended(waiting)
        is_running = not stubborn.is_done
        gate.touch()

    assert is_running
    assert waiting.error == "timed out: it took longer than 0.3 seconds (serve.timeout)"
    assert not waiting.is_refused


@both
async def test_queued_predictions_run_in_the_order_they_came(run_pool: RunPool, isolation: str) -> None:
    code = """
        class Predictor:
            order = []
            def predict(self, n: int) -> list:
                self.order.append(n)
                return list(self.order)
    """
    async with run_pool(code, isolation=isolation) as pool:
        predictions = [start(pool, n=n) for n in range(20)]
        for prediction in predictions:
            await ended(prediction)

    assert json.loads(predictions[-1].output) == list(range(20))


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        ("os._exit(7)", "exited with code 7"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "SIGKILL"),
        ("ctypes.string_at(0)", "SIGSEGV: a segmentation fault"),
        ("os.abort()", "SIGABRT"),
    ],
)
async def test_the_death_of_a_worker_fails_its_predictions_and_no_others(
    run_pool: RunPool, end: str, reason: str
) -> None:
    code = f"""
        import ctypes, os, signal
        class Predictor:
            def predict(self, die: bool) -> str:
                if die:
                    print("last words")
                    {end}
                return "alive"
    """
    async with run_pool(code) as pool:
        dying, queued = start(pool, die=True), start(pool, die=False)
        await ended(dying)
        await ended(queued)

    assert dying.status is Status.FAILED
    assert dying.error is not None
    assert reason in dying.error
    assert queued.output == b'"alive"'


async def test_several_workers_share_the_load(run_pool: RunPool) -> None:
    code = """
        import asyncio, os
        class Predictor:
            async def predict(self) -> int:
                print("begun")
                await asyncio.sleep(3600)
                return 0
    """
    async with run_pool(code, workers=2, concurrency=2) as pool:
        while pool.free_slots < 4:
            await asyncio.sleep(0.01)
        predictions = [start(pool) for _ in range(4)]
        assert [len(worker.running) for worker in pool.workers] == [2, 2]
        assert all(prediction.status is Status.PROCESSING for prediction in predictions)


async def test_sigkill_of_one_worker_leaves_the_others_predictions_alone(run_pool: RunPool) -> None:
    code = """
        import asyncio, os
        class Predictor:
            async def predict(self) -> int:
                print("begun")
                await asyncio.sleep(1)
                return os.getpid()
    """
    async with run_pool(code, workers=2) as pool:
        while pool.free_slots < 2:
            await asyncio.sleep(0.01)
        predictions = [start(pool), start(pool)]
        for prediction in predictions:
            await begun(prediction)
        victim = pool.workers[0]
        (lost,) = victim.running.values()
        assert victim.pid is not None
        os.kill(victim.pid, signal.SIGKILL)
        for prediction in predictions:
            await ended(prediction)

    kept = next(prediction for prediction in predictions if prediction is not lost)
    assert (lost.status, kept.status) == (Status.FAILED, Status.SUCCEEDED)


@both
async def test_a_drain_lets_running_and_queued_predictions_finish(run_pool: RunPool, isolation: str) -> None:
    code = """
        import time
        class Predictor:
            def predict(self) -> str:
                time.sleep(0.05)
                return "whole"
    """
    async with run_pool(code, isolation=isolation) as pool:
        predictions = [start(pool) for _ in range(4)]
        draining = asyncio.create_task(pool.drain(30))
        await asyncio.sleep(0)
        with pytest.raises(NotReadyError, match="shutting down"):
            start(pool)
        await draining

    assert [prediction.output for prediction in predictions] == [b'"whole"'] * 4


@both
async def test_a_drain_cancels_with_a_reason_what_its_grace_is_too_short_for(run_pool: RunPool, isolation: str) -> None:
    async with run_pool(ENDLESS["async"], isolation=isolation) as pool:
        running, queued = start(pool), start(pool)
        await pool.drain(0.1)

    for prediction in (running, queued):
        assert prediction.status is Status.CANCELED
        assert prediction.error is not None
        assert "shutting down" in prediction.error


@both
async def test_teardown_runs_when_the_pool_closes(run_pool: RunPool, isolation: str, tmp_path: Path) -> None:
    code = f"""
        import pathlib
        class Predictor:
            def predict(self) -> None: ...
            def teardown(self) -> None:
                pathlib.Path({str(tmp_path / "torn")!r}).write_text("down")
    """
    async with run_pool(code, isolation=isolation):
        pass

    assert (tmp_path / "torn").read_text() == "down"


@both
async def test_a_paused_prediction_waits_and_goes_on_without_a_loss(run_pool: RunPool, isolation: str) -> None:
    code = """
        class Predictor:
            def predict(self):
                for number in range(200_000):
                    yield number
    """
    async with run_pool(code, isolation=isolation) as pool:
        prediction = start(pool)
        pool.pause(prediction)
        before = -1
        while before != len(prediction.kinds):  # until it stands still
            before = len(prediction.kinds)
            await asyncio.sleep(0.2)
        assert before < 100_000
        pool.resume(prediction)
        await ended(prediction)

    assert json.loads(prediction.output) == list(range(200_000))


async def test_no_worker_survives_the_servers_sigkill(tmp_path: Path) -> None:
    (tmp_path / "servekit.yaml").write_text("predictor: predict.py:Predictor\nserve: {workers: 2}\n")
    (tmp_path / "predict.py").write_text(
        "import time\nclass Predictor:\n    def predict(self) -> None:\n        while True: pass\n"
    )
    program = f"""
import asyncio, pathlib, sys
from servekit.runtime.pool import Pool
from servekit.spec import load_spec
async def main():
    pool = Pool(load_spec(pathlib.Path({str(tmp_path)!r})), python=sys.executable)
    await pool.start(); pool.set_up(); await pool.ready()
    while pool.free_slots < 2: await asyncio.sleep(0.01)
    pool.submit(pool.new_prediction(b"{{}}"))
    print(*[worker.pid for worker in pool.workers], flush=True)
    await asyncio.sleep(3600)
asyncio.run(main())
"""
    server = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    line = await asyncio.to_thread(server.stdout.readline)
    workers = [psutil.Process(int(pid)) for pid in line.split()]
    server.kill()
    server.wait()
    server.stdout.close()

    _gone, alive = await asyncio.to_thread(psutil.wait_procs, workers, timeout=10)
    assert len(workers) == 2
    assert alive == []


async def test_close_leaves_no_process_and_no_file_behind(run_pool: RunPool) -> None:
    code = """
        import time
        from servekit import current_scope
        class Predictor:
            def predict(self) -> str:
                (current_scope().temp_dir / "file").write_text("x")
                print(current_scope().temp_dir)
                while True:
                    time.sleep(0.01)
    """
    async with run_pool(code, workers=2) as pool:
        pids = [worker.pid for worker in pool.workers]
        prediction = start(pool)
        while not prediction.logs:
            await prediction.changed(len(prediction.kinds))
        folder = Path(prediction.logs.strip())
        assert (folder / "file").exists()

    assert not any(pid is not None and psutil.pid_exists(pid) for pid in pids)
    assert not folder.parent.exists()


async def test_the_files_of_a_prediction_are_removed_at_its_end(run_pool: RunPool) -> None:
    code = """
        from servekit import current_scope
        class Predictor:
            def predict(self) -> str:
                return str(current_scope().temp_dir)
    """
    async with run_pool(code) as pool:
        prediction = await ended(start(pool))
        folder = Path(json.loads(prediction.output))
        async with asyncio.timeout(20):
            while folder.exists():
                await asyncio.sleep(0.01)


async def test_a_pool_that_is_closed_while_a_worker_starts_leaves_no_process(make_project: MakeProject) -> None:
    spec = make_project("def predict(x: int) -> int: ...", predictor="predict.py:predict")
    for turns in range(4):
        pool = Pool(spec, python=sys.executable)
        await pool.start()
        pool.set_up()
        await pool.ready()
        (first,) = (worker.pid for worker in pool.workers)
        assert first is not None
        os.kill(first, signal.SIGKILL)
        async with asyncio.timeout(10):
            while not (started := {worker.pid for worker in pool.workers} - {first, None}):
                await asyncio.sleep(0)
        for _ in range(turns):
            await asyncio.sleep(0)

        await pool.close(0)

        assert not any(psutil.pid_exists(pid) for pid in started if pid is not None)
