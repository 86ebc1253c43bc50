"""How a worker comes to be ready, and what is said when it does not."""

import asyncio
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop
from pools import RunPool

from servekit.errors import NotReadyError, PredictorError, ServekitError, SetupError, SignatureError
from servekit.runtime.handle import WorkerHandle
from servekit.runtime.observer import PoolObserver
from servekit.runtime.pool import Pool
from servekit.runtime.prediction import Status

MakeProject = Callable[..., Any]

both = pytest.mark.parametrize("isolation", ["process", "thread"])

SECONDS = 30.0

GOOD = "class Predictor:\n    def predict(self) -> int:\n        return 1\n"


async def refusal(run_pool: RunPool, code: str, **options: Any) -> ServekitError:
    with pytest.raises(ServekitError) as caught:
        async with run_pool(code, **options):
            pass
    return caught.value


@both
async def test_an_import_error_in_the_authors_module_shows_the_authors_traceback(
    run_pool: RunPool, isolation: str
) -> None:
    error = await refusal(run_pool, "import no_such_package\n", isolation=isolation)

    assert isinstance(error, SetupError)
    assert "No module named 'no_such_package'" in str(error)
    assert 'predict.py", line 1' in str(error)
    assert "servekit/" not in str(error)


@both
async def test_a_missing_class_is_named(run_pool: RunPool, isolation: str) -> None:
    error = await refusal(run_pool, GOOD, predictor="predict.py:Predicter", isolation=isolation)

    assert isinstance(error, PredictorError)
    assert "Predictor" in str(error)
    assert "Traceback" not in str(error)


@both
async def test_a_missing_file_is_named(run_pool: RunPool, isolation: str) -> None:
    error = await refusal(run_pool, GOOD, predictor="predikt.py:Predictor", isolation=isolation)

    assert isinstance(error, PredictorError)
    assert "predikt.py" in str(error)


@both
async def test_a_class_without_predict_is_named(run_pool: RunPool, isolation: str) -> None:
    error = await refusal(run_pool, "class Predictor:\n    pass\n", isolation=isolation)

    assert isinstance(error, PredictorError)
    assert "predict" in str(error)


@both
async def test_an_annotation_without_a_schema_is_named(run_pool: RunPool, isolation: str) -> None:
    code = """
        import threading
        class Predictor:
            def predict(self, lock: threading.Thread) -> int:
                return 1
    """
    error = await refusal(run_pool, code, isolation=isolation)

    assert isinstance(error, SignatureError)
    assert "lock" in str(error)


@both
async def test_an_exception_in_setup_is_shown_with_what_it_printed(run_pool: RunPool, isolation: str) -> None:
    code = """
        class Predictor:
            def setup(self) -> None:
                print("reading weights")
                raise RuntimeError("no weights")
            def predict(self) -> int:
                return 1
    """
    error = await refusal(run_pool, code, isolation=isolation)

    assert isinstance(error, SetupError)
    assert "RuntimeError: no weights" in str(error)


@both
async def test_sys_exit_in_setup_is_a_failure_that_says_so(run_pool: RunPool, isolation: str) -> None:
    code = """
        import sys
        class Predictor:
            def setup(self) -> None:
                sys.exit(3)
            def predict(self) -> int:
                return 1
    """
    error = await refusal(run_pool, code, isolation=isolation)

    assert "sys.exit(3)" in str(error)


async def test_a_setup_that_hangs_is_ended_by_its_timeout(run_pool: RunPool) -> None:
    code = """
        import time
        class Predictor:
            def setup(self) -> None:
                time.sleep(600)
            def predict(self) -> int:
                return 1
    """
    error = await refusal(run_pool, code, setup_timeout=2)

    assert "serve.setup_timeout" in str(error)


async def test_a_worker_that_dies_in_setup_is_reported_with_its_last_output(run_pool: RunPool) -> None:
    code = """
        import os
        class Predictor:
            def setup(self) -> None:
                os.write(2, b"out of cheese\\n")
                os._exit(9)
            def predict(self) -> int:
                return 1
    """
    error = await refusal(run_pool, code)

    assert "exited with code 9" in str(error)
    assert "out of cheese" in str(error)


async def test_a_failed_setup_is_tried_again_until_it_works(make_project: MakeProject, tmp_path: Path) -> None:
    flag = tmp_path / "weights"
    code = f"""
        import pathlib
        class Predictor:
            def setup(self) -> None:
                pathlib.Path({str(flag)!r}).read_text()
            def predict(self) -> int:
                return 1
    """
    pool = Pool(make_project(code), python=sys.executable)
    try:
        await pool.start()
        pool.set_up()
        with pytest.raises(SetupError, match="FileNotFoundError"):
            await pool.ready()
        with pytest.raises(NotReadyError, match="setup failed"):
            pool.submit(pool.new_prediction(b"{}"))
        flag.write_text("here")
        while not pool.is_ready:
            await asyncio.sleep(0.02)
        prediction = pool.new_prediction(b"{}")
        pool.submit(prediction)
        await prediction.done()
        assert pool.failure is None
    finally:
        await pool.close()

    assert prediction.status is Status.SUCCEEDED


async def test_a_failed_setup_refuses_nobody_while_another_worker_is_on_its_way(
    run_pool: RunPool, tmp_path: Path
) -> None:
    code = f"""
        import os, time
        from pathlib import Path
        FOLDER, NUMBER = Path({str(tmp_path)!r}), os.environ["SERVEKIT_WORKER"]
        class Predictor:
            def setup(self) -> None:
                if NUMBER in ("1", "2"):
                    return
                (FOLDER / f"begun {{NUMBER}}").touch()
                while not (FOLDER / f"gate {{NUMBER}}").exists():
                    time.sleep(0.01)
                if NUMBER == "3":
                    raise RuntimeError("no weights")
            def predict(self) -> str:
                return "done"
    """
    async with run_pool(code, workers=2) as pool, asyncio.timeout(20):
        while pool.free_slots < 2:
            await asyncio.sleep(0.01)
        for worker in list(pool.workers):
            worker.kill()
        while len(list(tmp_path.glob("begun ?"))) < 2:
            await asyncio.sleep(0.01)
        prediction = pool.new_prediction(b"{}")
        pool.submit(prediction)
        (tmp_path / "gate 3").touch()
        while {worker.number for worker in pool.workers} == {3, 4}:
            await asyncio.sleep(0.01)
        (tmp_path / "gate 4").touch()
        await prediction.done()

    assert prediction.status is Status.SUCCEEDED


async def test_the_schema_is_known_before_setup_runs(make_project: MakeProject, tmp_path: Path) -> None:
    code = f"""
        import pathlib
        class Predictor:
            def setup(self) -> None:
                pathlib.Path({str(tmp_path / "ran")!r}).touch()
            def predict(self, n: int) -> int:
                return n
    """
    pool = Pool(make_project(code), python=sys.executable)
    try:
        await pool.start()
        model = await pool.loaded()
    finally:
        await pool.close()

    assert model.input_schema["properties"]["n"]["type"] == "integer"
    assert not (tmp_path / "ran").exists()


@both
async def test_reload_brings_new_code_without_refusing_anybody(
    run_pool: RunPool, make_project: MakeProject, isolation: str
) -> None:
    if isolation == "thread":
        pytest.skip("modules of one process are imported once")
    async with run_pool(GOOD, isolation=isolation) as pool:
        make_project(GOOD.replace("return 1", "return 2"), isolation=isolation)
        reloading = asyncio.create_task(pool.reload())
        outputs: list[bytes] = []
        while not reloading.done():
            prediction = pool.new_prediction(b"{}")
            pool.submit(prediction)
            await prediction.done()
            outputs.append(prediction.output)
        await reloading
        last = pool.new_prediction(b"{}")
        pool.submit(last)
        await last.done()

    assert last.output == b"2"
    assert set(outputs) <= {b"1", b"2"}


async def test_a_reload_that_fails_keeps_the_old_workers(run_pool: RunPool, make_project: MakeProject) -> None:
    async with run_pool(GOOD) as pool:
        make_project("raise RuntimeError('typo')\n")
        with pytest.raises(SetupError, match="typo"):
            await pool.reload()
        prediction = pool.new_prediction(b"{}")
        pool.submit(prediction)
        await prediction.done()

    assert prediction.output == b"1"


async def test_a_pool_that_closes_gives_up_reloads_and_leaves_no_worker_of_theirs(
    run_pool: RunPool, make_project: MakeProject
) -> None:
    started: list[int] = []

    class Observer(PoolObserver):
        def worker_started(self, worker: WorkerHandle) -> None:
            started.append(worker.number)

    async with run_pool(GOOD, observer=Observer()) as pool:
        make_project("import time\ntime.sleep(600)")
        reloads = [asyncio.create_task(pool.reload()) for _ in range(2)]
        while len(pool.workers) < 2:
            await asyncio.sleep(0.01)
        await pool.close()
        ends = await asyncio.wait_for(asyncio.gather(*reloads, return_exceptions=True), 20)

    assert [type(end) for end in ends] == [NotReadyError, NotReadyError]
    assert (pool.workers, started) == ([], [1, 2])


@both
async def test_healthcheck_is_asked_and_its_complaint_told(run_pool: RunPool, isolation: str) -> None:
    code = """
        class Predictor:
            well = True
            def predict(self, well: bool) -> None:
                self.well = well
            def healthcheck(self) -> bool:
                if not self.well:
                    raise RuntimeError("feeling sick")
                return True
    """
    async with run_pool(code, isolation=isolation) as pool:
        before = await pool.check_health(SECONDS)
        prediction = pool.new_prediction(b'{"well": false}')
        pool.submit(prediction)
        await prediction.done()
        after = await pool.check_health(SECONDS)

    assert before is None
    assert after is not None
    assert "feeling sick" in after


@both
async def test_a_syntax_error_shows_its_place_and_none_of_our_frames(run_pool: RunPool, isolation: str) -> None:
    error = await refusal(run_pool, "class Predictor:\n    def (\n", isolation=isolation)

    assert "SyntaxError" in str(error).splitlines()[0]
    assert 'predict.py", line 2' in str(error)
    assert "importer.py" not in str(error)


@both
async def test_a_setup_that_wants_arguments_is_refused_in_words(run_pool: RunPool, isolation: str) -> None:
    code = """
        class Predictor:
            def setup(self, weights) -> None: ...
            def predict(self) -> int:
                return 1
    """
    error = await refusal(run_pool, code, isolation=isolation)

    assert "setup() without arguments" in str(error)
    assert "Traceback" not in str(error)


async def test_a_worker_that_dies_of_its_healthcheck_is_told_at_once(run_pool: RunPool) -> None:
    code = """
        import os
        class Predictor:
            def predict(self) -> str:
                return ""
            def healthcheck(self) -> bool:
                os._exit(3)
    """
    async with run_pool(code, healthcheck_timeout=3600) as pool:
        complaint = await pool.check_health(SECONDS)

    assert complaint is not None
    assert "worker 1 is gone" in complaint
    assert "3" in complaint


async def test_a_setup_that_failed_is_shown_until_the_next_one_has_ended(make_project: MakeProject) -> None:
    spec = make_project("""
        import time
        from pathlib import Path
        class Predictor:
            def setup(self) -> None:
                if not Path("first").exists():
                    Path("first").touch()
                    raise RuntimeError("no weights")
                Path("second").touch()
                while not Path("gate").exists():
                    time.sleep(0.01)
                print("loaded")
            def predict(self) -> str:
                return ""
    """)
    pool = Pool(spec, python=sys.executable)
    try:
        await pool.start()
        pool.set_up()
        with pytest.raises(SetupError, match="no weights"):
            await pool.ready()
        while not (spec.root / "second").exists():
            await asyncio.sleep(0.01)
        meanwhile = pool.setup
        (spec.root / "gate").touch()
        while not pool.is_ready:
            await asyncio.sleep(0.01)
        after = pool.setup
    finally:
        await pool.close()

    assert (meanwhile.status, after.status, after.logs) == ("failed", "succeeded", "loaded\n")
    assert "no weights" in meanwhile.logs


@both
@pytest.mark.parametrize("make_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_worker_that_is_loaded_while_the_server_is_held_up_is_set_up(
    make_project: MakeProject, make_loop: Callable[[], asyncio.AbstractEventLoop], isolation: str
) -> None:
    pool_spec = make_project(GOOD, isolation=isolation)

    async def start() -> None:
        pool = Pool(pool_spec, python=sys.executable)
        pool.set_up()
        loop = asyncio.get_running_loop()
        # In the first turn of the loop the worker is started, in the second one nothing goes on for long.
        loop.call_soon(lambda: loop.call_soon(time.sleep, 1))
        try:
            await pool.start()
            await asyncio.wait_for(pool.ready(), 30)
        finally:
            await pool.close()

    with asyncio.Runner(loop_factory=make_loop) as runner:
        runner.run(start())
