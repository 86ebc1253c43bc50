"""What a prediction prints lands in its logs and in no other's."""

import asyncio
import json

import pytest
from pools import RunPool, ended, start

from servekit.runtime.handle import WorkerHandle
from servekit.runtime.observer import PoolObserver
from servekit.runtime.prediction import EventKind, Prediction, Status

pytestmark = pytest.mark.parametrize("isolation", ["process", "thread"])

NOISY = {
    "thread": """
        import logging, sys, threading
        from servekit import propagate, parallel, ContextThreadPoolExecutor
        log = logging.getLogger("model")
        class Predictor:
            def predict(self, name: str) -> None:
                for step in range(20):
                    print(f"{name} print {step}")
                    sys.stderr.write(f"{name} err {step}\\n")
                    log.warning(f"{name} log {step}")
                    sys.stdout.buffer.write(f"{name} bytes {step}\\n".encode())
                thread = threading.Thread(target=propagate(print), args=(f"{name} carried",))
                thread.start(); thread.join()
                with ContextThreadPoolExecutor(2) as pool:
                    list(pool.map(print, [f"{name} pooled"] * 3))
                parallel(print, [f"{name} parallel"] * 3)
    """,
    "task": """
        import asyncio, sys, logging
        log = logging.getLogger("model")
        class Predictor:
            async def predict(self, name: str) -> None:
                for step in range(20):
                    print(f"{name} print {step}")
                    log.warning(f"{name} log {step}")
                    await asyncio.sleep(0)
                await asyncio.to_thread(print, f"{name} carried")
                await asyncio.create_task(self.child(name))
            async def child(self, name: str) -> None:
                print(f"{name} child")
    """,
}


@pytest.mark.parametrize("kind", NOISY)
async def test_every_line_lands_with_the_prediction_that_wrote_it(run_pool: RunPool, kind: str, isolation: str) -> None:
    names = [f"p{number}" for number in range(8)]
    async with run_pool(NOISY[kind], isolation=isolation, concurrency=8) as pool:
        predictions = [pool.new_prediction(json.dumps({"name": name}).encode()) for name in names]
        for prediction in predictions:
            pool.submit(prediction)
        await asyncio.gather(*(prediction.done() for prediction in predictions))

    for name, prediction in zip(names, predictions, strict=True):
        assert prediction.status is Status.SUCCEEDED, prediction.error
        lines = prediction.logs.splitlines()
        assert len(lines) >= 22
        assert all(line.startswith(f"{name} ") for line in lines)


async def test_what_structlog_writes_lands_with_its_prediction_too(run_pool: RunPool, isolation: str) -> None:
    code = """
        import structlog
        from servekit import parallel
        log = structlog.get_logger()
        early = log.bind(made="at import")
        class Predictor:
            def predict(self, name: str) -> None:
                for step in range(20):
                    log.info("step", name=name)
                    early.warning("step", name=name)
                parallel(lambda step: log.info("parallel", name=name), range(3))
    """
    names = [f"p{number}" for number in range(8)]
    async with run_pool(code, isolation=isolation, concurrency=8) as pool:
        predictions = [pool.new_prediction(json.dumps({"name": name}).encode()) for name in names]
        for prediction in predictions:
            pool.submit(prediction)
        await asyncio.gather(*(prediction.done() for prediction in predictions))

    for name, prediction in zip(names, predictions, strict=True):
        assert prediction.status is Status.SUCCEEDED, prediction.error
        lines = prediction.logs.splitlines()
        assert len(lines) == 43
        assert all(name in line for line in lines)


STEADY = """
    from servekit import current_scope
    class Predictor:
        {head} predict(self, count: int):
            for number in range(count):
                print(number)
                current_scope().record_metric("number", number)
                yield number
            print("end")
"""


@pytest.mark.parametrize("head", ["def", "async def"])
async def test_events_come_in_the_order_in_which_the_generator_made_them(
    run_pool: RunPool, head: str, isolation: str
) -> None:
    async with run_pool(STEADY.format(head=head), isolation=isolation) as pool:
        prediction = await ended(start(pool, count=300))

    kinds = [EventKind(kind).name for kind in prediction.kinds]
    assert kinds == ["START", *["LOG", "METRIC", "OUTPUT"] * 300, "LOG", "COMPLETED"]


async def test_logs_are_bounded_and_say_what_was_cut(run_pool: RunPool, isolation: str) -> None:
    code = """
        class Predictor:
            def predict(self) -> str:
                for _ in range(100):
                    print("x" * 999_999)
                return "done"
    """
    async with run_pool(code, isolation=isolation, max_logs="10KB") as pool:
        prediction = pool.new_prediction(b"{}")
        pool.submit(prediction)
        await prediction.done()

    assert prediction.output == b'"done"'
    assert len(prediction.logs) < 11_000
    assert "99990000 further bytes were cut" in prediction.logs


class _Listener(PoolObserver):
    def __init__(self) -> None:
        self.heard: list[str] = []
        self.news = asyncio.Event()

    def worker_output(self, worker: WorkerHandle, source: str, text: str) -> None:
        self.heard.append(text)
        self.news.set()


async def test_bytes_written_to_the_file_descriptor_reach_the_server_and_break_nothing(
    run_pool: RunPool, isolation: str
) -> None:
    if isolation == "thread":
        pytest.skip("in the server's process file descriptor 1 is the server's own")
    code = """
        import os
        class Predictor:
            def predict(self) -> str:
                os.write(1, bytes(range(256)) + b"marker\\n")
                return "fine"
    """
    listener = _Listener()
    async with run_pool(code, isolation=isolation, observer=listener) as pool:
        prediction = pool.new_prediction(b"{}")
        pool.submit(prediction)
        await prediction.done()
        while "marker" not in "".join(listener.heard):
            listener.news.clear()
            await asyncio.wait_for(listener.news.wait(), 10)

    assert prediction.output == b'"fine"'
    assert prediction.logs == ""


async def test_a_thread_that_outlives_its_prediction_disturbs_nobody(run_pool: RunPool, isolation: str) -> None:
    code = """
        import threading
        from servekit import propagate
        go = threading.Event()
        class Predictor:
            def predict(self, last: bool) -> str:
                if last:
                    go.set()
                    for thread in self.threads:
                        thread.join()
                    return "joined"
                self.threads = [threading.Thread(target=propagate(self.late))]
                self.threads[0].start()
                return "left one behind"
            def late(self) -> None:
                go.wait()
                print("too late")
    """
    async with run_pool(code, isolation=isolation) as pool:
        predictions: list[Prediction] = []
        for last in (b"false", b"true"):
            prediction = pool.new_prediction(b'{"last":' + last + b"}")
            pool.submit(prediction)
            await prediction.done()
            predictions.append(prediction)

    assert [p.output for p in predictions] == [b'"left one behind"', b'"joined"']
    assert [p.logs for p in predictions] == ["", ""]


async def test_what_setup_prints_is_kept(run_pool: RunPool, isolation: str) -> None:
    code = """
        class Predictor:
            def setup(self) -> None:
                print("loading weights")
            def predict(self) -> None: ...
    """
    async with run_pool(code, isolation=isolation) as pool:
        assert pool.setup.logs == "loading weights\n"


@pytest.mark.parametrize("kind", ["def", "async def"])
async def test_what_clean_up_code_prints_after_a_cancel_is_kept(run_pool: RunPool, kind: str, isolation: str) -> None:
    sleep = "time.sleep(0.001)" if kind == "def" else "await asyncio.sleep(0.001)"
    code = f"""
        import asyncio, time
        class Predictor:
            {kind} predict(self):
                print("begun")
                try:
                    while True:
                        {sleep}
                finally:
                    print("cleaned")
                    print("up")
    """
    async with run_pool(code, isolation=isolation) as pool:
        prediction = pool.new_prediction(b"{}")
        pool.submit(prediction)
        while not prediction.logs:
            await prediction.changed(len(prediction.kinds))
        pool.cancel(prediction, "enough")
        await prediction.done()

    assert prediction.logs == "begun\ncleaned\nup\n"
