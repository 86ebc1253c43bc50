"""Settings in real workers: what a request overrides reaches its prediction, and nothing else."""

import asyncio
import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pools import RunPool, begun, ended, opened

from servekit import isolated_settings
from servekit.errors import PredictorError
from servekit.runtime.pool import Pool
from servekit.runtime.prediction import Prediction, Status
from servekit.spec import Spec

TUNING = """
    import asyncio, os, threading, time
    from collections.abc import AsyncIterator, Iterator

    import servekit
    from servekit import Setting, settings

    class Tuning(servekit.Settings):
        temperature: float = Setting(0.7, le=1000, overridable=True)
        style: str = "plain"
        seed: int = 0

"""
VALUE = """
    class Predictor:
        def predict(self, number: int, of: int) -> list[float]:
            before = settings.temperature
            _gate(threading.Barrier, of).wait(30)
            return [before, settings.temperature]
"""
ASYNC_VALUE = """
    class Predictor:
        async def predict(self, number: int, of: int) -> list[float]:
            before = settings.temperature
            await _gate(asyncio.Barrier, of).wait()
            return [before, settings.temperature]
"""
ITEMS = """
    class Predictor:
        def predict(self, number: int, of: int) -> Iterator[float]:
            with servekit.context(seed=number):
                yield settings.temperature
                _gate(threading.Barrier, of).wait(30)
                assert settings.seed == number
                yield settings.temperature
"""
ASYNC_ITEMS = """
    class Predictor:
        async def predict(self, number: int, of: int) -> AsyncIterator[float]:
            with servekit.context(seed=number):
                yield settings.temperature
                await _gate(asyncio.Barrier, of).wait()
                assert settings.seed == number
                yield settings.temperature
"""
GATE = """
    gates = {}
    lock = threading.Lock()

    def _gate(kind, of):
        with lock:
            return gates.setdefault(of, kind(of))
"""


@pytest.fixture(autouse=True)
def _own_settings() -> Iterator[None]:
    """Forget what a worker declared that ran in a thread of this process."""
    with isolated_settings():
        yield


def submit(pool: Pool, overrides: dict[str, Any] | None = None, **values: Any) -> Prediction:
    context = None if overrides is None else {"settings": overrides}
    prediction = pool.new_prediction(json.dumps(values).encode(), context=context)
    pool.submit(prediction)
    return prediction


KINDS = {"value": VALUE, "async value": ASYNC_VALUE, "items": ITEMS, "async items": ASYNC_ITEMS}


@pytest.mark.parametrize("kind", KINDS)
async def test_each_of_many_predictions_at_once_sees_its_own_overrides(run_pool: RunPool, kind: str) -> None:
    seen: dict[int, list[Any]] = {}

    async with run_pool(TUNING + GATE + KINDS[kind], isolation="thread", concurrency=64) as pool:
        for count in (1, 8, 64):
            running = [submit(pool, {"temperature": each}, number=each, of=count) for each in range(count)]
            seen[count] = [json.loads((await ended(each)).output) for each in running]

    assert seen == {count: [[float(each)] * 2 for each in range(count)] for count in (1, 8, 64)}


BATCHED = """
    from servekit import Batch

    class Predictor:
        @servekit.batch(max_size=8, max_wait=WAIT)
        def predict(self, number: Batch[int]) -> Batch[list[float]]:
            return [[settings.temperature, len(number)] for _ in number]
"""


@pytest.mark.parametrize("key", ["", ", key=lambda number: 'all alike'"])
async def test_predictions_with_other_overrides_are_in_another_batch(run_pool: RunPool, key: str) -> None:
    overrides: list[dict[str, Any] | None] = [None, {"temperature": 1}, {"temperature": 2}, {}]

    async with run_pool(TUNING + BATCHED.replace("WAIT", "0.02" + key), isolation="thread") as pool:
        running = [submit(pool, overrides[each % 4], number=each) for each in range(16)]
        seen = [json.loads((await ended(each)).output) for each in running]

    assert [temperature for temperature, _ in seen] == [0.7, 1.0, 2.0, 0.7] * 4
    assert all(size > 1 for _, size in seen)


async def test_a_batch_may_not_configure_and_its_members_overrides_are_checked(run_pool: RunPool) -> None:
    code = BATCHED.replace("WAIT", "0").replace("return [[", "servekit.configure(seed=1)\n            return [[")

    async with run_pool(TUNING + code, isolation="thread") as pool:
        refused = await ended(submit(pool, {"temperature": "hot"}, number=1))
        configured = await ended(submit(pool, number=1))

    assert "context.settings.temperature: expected a number" in str(refused.error)
    assert "with servekit.context(seed=...)" in str(configured.error)


CANCELED = """
    class Predictor:
        def predict(self, stays: bool) -> list[float]:
            with servekit.context(seed=9):
                print("begun")
                while stays:
                    time.sleep(0.001)
            return [settings.temperature, settings.seed]
"""


async def test_a_canceled_prediction_leaves_nothing_to_the_next_one_in_its_thread(run_pool: RunPool) -> None:
    async with run_pool(TUNING + CANCELED, isolation="thread") as pool:
        canceled = await begun(submit(pool, {"temperature": 5}, stays=True))
        pool.cancel(canceled, "enough")
        await ended(canceled)

        after = await ended(submit(pool, stays=False))

    assert (canceled.status, json.loads(after.output)) == (Status.CANCELED, [0.7, 0])


PROCESS = """
    seen_by_module = settings.style

    class Predictor:
        def setup(self) -> None:
            servekit.configure(seed=3)

        def predict(self, do: str) -> list:
            if do == "die":
                os._exit(3)
            if do == "configure":
                servekit.configure(seed=4)
            with servekit.context(temperature=settings.temperature + 1):
                return [settings.temperature, settings.style, settings.seed, seen_by_module]
"""


def with_settings(spec: Spec, **settings: Any) -> Spec:
    return spec.model_copy(update={"settings": settings})


async def test_settings_travel_to_worker_processes_and_to_those_that_replace_a_crashed_one(
    make_project: Callable[..., Spec],
) -> None:
    spec = with_settings(make_project(TUNING + PROCESS), style="bold", temperature=1)

    async with opened(Pool(spec, python=sys.executable)) as pool:
        overridden = await ended(submit(pool, {"temperature": 5}, do="read"))
        refused = await ended(submit(pool, {"temperature": "hot"}, do="read"))
        configured = await ended(submit(pool, do="configure"))
        crashed = await ended(submit(pool, {"temperature": 5}, do="die"))
        after = await ended(submit(pool, do="read"))

    assert json.loads(overridden.output) == [6.0, "bold", 3, "bold"]
    assert refused.problems is not None
    assert json.loads(refused.problems)[0]["loc"] == ["context", "settings", "temperature"]
    assert "with servekit.context(seed=...)" in str(configured.error)
    assert crashed.status is Status.FAILED
    assert json.loads(after.output) == [2.0, "bold", 3, "bold"]


@pytest.mark.parametrize(
    ("code", "values", "message"),
    [
        (TUNING + CANCELED, {"temperature": "hot"}, 'the setting temperature is "hot"; expected a number'),
        (TUNING + CANCELED, {"stile": "bold"}, 'did you mean "style"'),
        ("def predict(x: int) -> int: ...", {"style": "bold"}, "no settings are declared"),
    ],
)
async def test_values_of_the_spec_that_do_not_fit_keep_the_predictor_from_loading(
    make_project: Callable[..., Spec], code: str, values: dict[str, Any], message: str
) -> None:
    reference = "predict.py:predict" if code.startswith("def") else "predict.py:Predictor"
    spec = with_settings(make_project(code, predictor=reference, isolation="thread"), **values)
    pool = Pool(spec, python=sys.executable)
    try:
        await pool.start()
        with pytest.raises(PredictorError, match=message):
            await asyncio.wait_for(pool.loaded(), 30)
    finally:
        await pool.close()
