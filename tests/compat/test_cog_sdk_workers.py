"""Cog projects in real workers: in processes of their own and in threads of this one."""

import asyncio
import importlib.util
import json
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import pytest
from cog_projects import write_cog_project
from pools import begun, ended, opened, start

from servekit.errors import PredictorError
from servekit.runtime.pool import Pool
from servekit.runtime.prediction import EventKind, Prediction, Status

Isolation = Literal["process", "thread"]

EVERYTHING = """
    import os, subprocess, sys, time
    from cog import BaseRunner, CancelationException, ConcatenateIterator, Input, Secret, current_scope, streaming
    import cog.types

    class Runner(BaseRunner):
        def setup(self, weights=None):
            self.weights = weights
            self.count = 0

        def run(
            self,
            what: str = Input(default="count", choices="count metrics bad child wait swallow".split()),
            key: Secret = None,
        ) -> str:
            self.count += 1
            match what:
                case "count":
                    return f"{self.weights} {self.count} {key}"
                case "metrics":
                    scope = current_scope()
                    self.record_metric("temperature", 0.7)
                    scope.record_metric("tokens", 1, mode="incr")
                    scope.record_metric("tokens", 2, mode="incr")
                    scope.record_metric("tags", "fast", mode="append")
                    scope.record_metric("timing.preprocess", 0.1)
                    scope.metrics["gone"] = 1
                    del scope.metrics["gone"]
                    return scope.context.get("region")
                case "bad":
                    self.record_metric("cog.x", 1)
                case "child":
                    return subprocess.run([sys.executable, "-c", "import cog; print(cog.__name__)"],
                                          capture_output=True, text=True).stdout
                case "wait" | "swallow":
                    print("waiting")
                    try:
                        while True:
                            time.sleep(0.01)
                    except CancelationException:
                        print("canceled")
                        if what == "wait":
                            raise
            return 3  # no str, which Cog does not mind
"""


@asynccontextmanager
async def run_cog(root: Path, code: str, isolation: Isolation = "process", **options: Any) -> AsyncGenerator[Pool]:
    spec = write_cog_project(root, code, **options)
    serve = spec.serve.model_copy(update={"isolation": isolation})
    pool = Pool(spec.model_copy(update={"serve": serve}), python=sys.executable)
    async with opened(pool):
        yield pool


async def run(pool: Pool, *, context: dict[str, Any] | None = None, **values: Any) -> Prediction:
    prediction = pool.new_prediction(json.dumps(values).encode(), context=context)
    pool.submit(prediction)
    return await ended(prediction)


async def cancel(pool: Pool, **values: Any) -> Prediction:
    prediction = await begun(start(pool, **values))
    pool.cancel(prediction, "the test cancels")
    return await ended(prediction)


@pytest.mark.parametrize("isolation", ["process", "thread"])
async def test_a_cog_project_runs_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, isolation: Isolation
) -> None:
    monkeypatch.setenv("COG_WEIGHTS", "w.bin")
    async with run_cog(tmp_path / "project", EVERYTHING, isolation) as pool:
        counts = [await run(pool), await run(pool, key="s3cret", nope=1)]
        recorded = await run(pool, what="metrics", context={"region": "eu"})
        refused = await run(pool, what="bad")
        waiting = [await cancel(pool, what="wait"), await cancel(pool, what="swallow")]

    assert [each.output for each in counts] == [b'"w.bin 1 None"', b'"w.bin 2 **********"']
    assert counts[1].logs == "dropped what is no input of this predictor: nope\n"
    own = {name: value for name, value in recorded.metrics.items() if not name.endswith(("_time", "_output"))}
    assert own == {"temperature": 0.7, "tokens": 3, "tags": ["fast"], "timing": {"preprocess": 0.1}}
    assert recorded.output == b'"eu"'
    assert (refused.status, refused.error) == (
        Status.FAILED,
        "ValueError: the 'cog.' prefix is reserved for system metrics",
    )
    assert [(each.status, each.logs) for each in waiting] == [(Status.CANCELED, "waiting\ncanceled\n")] * 2
    assert importlib.util.find_spec("cog") is None


THREADS = """
    import os, threading
    from concurrent.futures import ThreadPoolExecutor
    from cog import BaseRunner, current_scope
    from cog.mode import Mode
    from cog.suppress_output import suppress_output

    def work(name):
        print(f"{name} in a thread")
        current_scope().record_metric("words.made", 1, mode="incr")

    class Runner(BaseRunner):
        def setup(self):
            self.threads = ThreadPoolExecutor(1)
            self.threads.submit(int).result()

        def run(self, name: str) -> str:
            self.threads.submit(work, name).result()
            own = threading.Thread(target=work, args=[name])
            own.start()
            own.join()
            with suppress_output():
                print("unheard")
                os.write(1, b"unheard")
                self.record_metric("kept", True)
            print("heard")
            return str(Mode.PREDICT)
"""


async def test_threads_of_a_sync_predictor_work_for_the_prediction_that_runs(tmp_path: Path) -> None:
    async with run_cog(tmp_path / "project", THREADS) as pool:
        predictions = [await run(pool, name=name) for name in ("a", "b")]

    assert [each.logs for each in predictions] == [f"{name} in a thread\n" * 2 + "heard\n" for name in ("a", "b")]
    assert [each.metrics["words"] for each in predictions] == [{"made": 2}] * 2
    assert all(each.metrics["kept"] for each in predictions)


async def test_threads_of_several_predictions_in_a_process_work_for_none(tmp_path: Path) -> None:
    async with run_cog(tmp_path / "project", THREADS, slots=2) as pool:
        prediction = await run(pool, name="a")

    assert prediction.logs == "heard\n"
    assert "words" not in prediction.metrics


async def test_a_program_that_the_model_starts_can_import_cog(tmp_path: Path) -> None:
    async with run_cog(tmp_path / "project", EVERYTHING) as pool:
        assert (await run(pool, what="child")).output == b'"cog\\n"'


STREAMS: dict[str, str] = {
    "generator": """
        from cog import *
        class Runner:
            @streaming
            def run(self, n: int = 3) -> ConcatenateIterator[str]:
                for i in range(n):
                    yield str(i)
    """,
    "async generator": """
        from cog import *
        class Runner(BasePredictor):
            async def setup(self):
                self.words = "0", "1", "2"
            @concurrent(max=2)
            async def predict(self) -> AsyncConcatenateIterator[str]:
                for word in self.words:
                    yield word
    """,
    "function": """
        from typing import Iterator
        def Runner() -> Iterator[str]:
            yield from "012"
    """,
}


@pytest.mark.parametrize("code", STREAMS.values(), ids=STREAMS)
async def test_what_is_yielded_is_streamed(tmp_path: Path, code: str) -> None:
    async with run_cog(tmp_path / "project", code, "thread") as pool:
        prediction = await run(pool)

    assert prediction.output == b'["0","1","2"]', prediction.error
    assert prediction.kinds.count(EventKind.OUTPUT) == 3


async def test_an_async_run_is_canceled_as_a_task(tmp_path: Path) -> None:
    code = """
        import asyncio
        class Runner:
            async def run(self) -> str:
                print("waiting")
                try:
                    await asyncio.sleep(60)
                except asyncio.CancelledError:
                    print("canceled")
                    raise
    """
    async with run_cog(tmp_path / "project", code, "thread") as pool:
        waiting = await cancel(pool)

    assert (waiting.status, waiting.logs) == (Status.CANCELED, "waiting\ncanceled\n")


async def test_what_is_deprecated_is_in_the_log_of_the_setup(tmp_path: Path) -> None:
    async with run_cog(tmp_path / "project", STREAMS["async generator"], "thread") as pool:
        assert pool.setup.logs.count("Runner.predict() is deprecated; use run() instead") == 1


async def test_a_class_with_both_methods_says_so_in_the_words_of_cog(tmp_path: Path) -> None:
    code = "class Runner:\n    def run(self): ...\n    def predict(self): ...\n"

    with pytest.raises(PredictorError, match=r"Runner must define either run\(\) or predict\(\), not both"):
        async with run_cog(tmp_path / "project", code):
            pass


async def test_metrics_of_predictions_at_the_same_time_stay_apart(tmp_path: Path) -> None:
    code = """
        import asyncio
        from cog import current_scope
        class Runner:
            async def run(self, n: int) -> int:
                for _ in range(n):
                    current_scope().record_metric("n", 1, mode="incr")
                    await asyncio.sleep(0)
                return n
    """
    async with run_cog(tmp_path / "project", code, "thread", slots=5) as pool:
        predictions = await asyncio.gather(*(run(pool, n=n) for n in range(1, 6)))

    assert [each.metrics["n"] for each in predictions] == [1, 2, 3, 4, 5]
