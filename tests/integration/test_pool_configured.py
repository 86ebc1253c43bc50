"""Point 7 of what settings promise: what a program configures reaches the worker processes of its pools."""

import asyncio
import itertools
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pools import RunPool, begun, ended, start

import servekit
from servekit import configure, context, isolated_settings, run_batch
from servekit.configuration.process import PROCESS
from servekit.errors import PredictorError
from servekit.runtime.pool import Pool
from servekit.runtime.prediction import Prediction, Status
from servekit.spec import Spec

CODE = """
    import os, time

    import servekit
    from servekit import Setting, settings

    class Tuning(servekit.Settings):
        temperature: float = Setting(0.7, le=2)
        key: servekit.Secret = servekit.Secret("none")
        names: tuple[str, ...] = ()
        other: float = 0
        seed: int = 0

    servekit.configure(temperature=0.9)

    class Predictor:
        def setup(self) -> None:
            servekit.configure(seed=3, other=3)

        def predict(self, do: str = "read") -> list:
            if do == "die":
                os._exit(3)
            if do == "wait":
                print("begun")
                while settings.temperature != 2:
                    time.sleep(0.001)
            key = settings.key.get_secret_value()
            return [settings.temperature, key, settings.names, settings.other, settings.seed]
"""

STEP = 2.0**-20
"""A small number whose multiples floats hold exactly."""


@pytest.fixture(autouse=True)
def _tuning() -> Iterator[None]:
    """Declare the program's class: as that of the workers, and with what only this process can hold or allows."""
    with isolated_settings():

        class Tuning(servekit.Settings):
            temperature: float = 0.7
            key: servekit.Secret = servekit.Secret("none")
            names: tuple[str, ...] = ()
            other: float = 0
            seed: int = 0
            unknown: int = 0
            lock: Any = None

        del Tuning
        yield


async def result(prediction: Prediction) -> Any:
    done = await ended(prediction)
    assert done.status is Status.SUCCEEDED, done.error
    return json.loads(done.output)


async def test_a_worker_has_what_was_configured_before_its_start_and_since_and_so_has_its_replacement(
    run_pool: RunPool,
) -> None:
    configure(temperature=0.2, key=servekit.Secret("s3cret"), names=("a", "b"), other=1)

    async with run_pool(CODE) as pool:
        at_spawn = await result(start(pool))
        configure(temperature=1)
        after_change = await result(start(pool))
        waiting = await begun(start(pool, do="wait"))
        configure(temperature=2, seed=5)
        while_running = await result(waiting)
        await ended(start(pool, do="die"))
        await pool.ready()
        replacement = await result(start(pool))

    assert at_spawn == [0.2, "s3cret", ["a", "b"], 3, 3]
    assert after_change == [1, "s3cret", ["a", "b"], 3, 3]
    assert while_running == replacement == [2, "s3cret", ["a", "b"], 3, 5]


async def test_a_job_sees_what_any_thread_had_configured_before_it_was_submitted(run_pool: RunPool) -> None:
    reached = [0, 0]
    enough = threading.Event()

    def configure_often(place: int, name: str) -> None:
        for number in itertools.count(1):
            configure(**{name: number * STEP})
            reached[place] = number
            if enough.is_set():
                return

    async with run_pool(CODE, concurrency=4) as pool:
        threads = [
            threading.Thread(target=configure_often, args=(place, name))
            for place, name in enumerate(("temperature", "other"))
        ]
        for thread in threads:
            thread.start()
        seen: list[tuple[list[int], Any]] = []
        for _ in range(50):
            before = list(reached)
            seen.append((before, await result(start(pool))))
        enough.set()
        for thread in threads:
            thread.join()
        last = await result(start(pool))

    assert [last[0], last[3]] == [number * STEP for number in reached]
    for before, after in seen:
        assert after[0] >= before[0] * STEP
        assert after[3] >= before[1] * STEP


async def test_predictions_fail_while_something_configured_or_overlaid_does_not_fit_in_the_worker(
    run_pool: RunPool,
) -> None:
    async with run_pool(CODE) as pool:
        configure(temperature=5)
        unfit = await ended(start(pool))
        configure(temperature=1)
        mended = await result(start(pool))
        with context(temperature=1.5, names=("x",)):
            overlaid = await result(start(pool))
        with context(unknown=1):
            unknown = await ended(start(pool))
        with pytest.warns(RuntimeWarning, match=r"setting lock .*JSON cannot hold.*setup\(\)") as warned:
            configure(lock=threading.Lock(), temperature=0.5)
        after = await result(start(pool))

    assert "the setting temperature is 5.0; expected at most 2" in str(unfit.error)
    assert [mended[0], overlaid[0], overlaid[2], after[0]] == [1, 1.5, ["x"], 0.5]
    assert "has no setting unknown" in str(unknown.error)
    assert [each.filename for each in warned] == [__file__]


async def test_what_does_not_fit_in_a_worker_that_starts_keeps_the_predictor_from_loading(
    make_project: Callable[..., Spec],
) -> None:
    configure(temperature=5, unknown=1)
    pool = Pool(make_project(CODE), python=sys.executable)
    try:
        await pool.start()
        with pytest.raises(PredictorError, match=r"temperature is 5\.0; expected at most 2\n.*has no setting unknown"):
            await asyncio.wait_for(pool.loaded(), 30)
    finally:
        await pool.close()


async def test_a_batch_job_takes_the_settings_of_its_caller_along(make_project: Callable[..., Spec]) -> None:
    configure(other=1, names=("configured",))
    rows: list[dict[str, Any]] = [{}] * 3
    with context(temperature=0.1):
        run = run_batch(make_project(CODE), rows)

    with context(temperature=1.9):
        seen = [result.output async for result in run]

    assert seen == [[0.1, "none", ["configured"], 3, 3]] * 3


BATCHED = """
    import servekit
    from servekit import Batch, settings

    class Predictor:
        @servekit.batch(max_size=8, max_wait=0.02)
        def predict(self, number: Batch[int]) -> Batch[float]:
            return [settings.temperature for _ in number]
"""


async def test_predictions_that_were_submitted_under_other_overlays_are_in_another_batch(run_pool: RunPool) -> None:
    async with run_pool(BATCHED, isolation="thread") as pool:
        running: list[Prediction] = []
        for number in range(8):
            with context(temperature=number % 2):
                running.append(start(pool, number=number))

        seen = [await result(each) for each in running]

    assert seen == [0, 1] * 4


async def test_a_pool_that_is_closed_is_told_nothing_any_more(make_project: Callable[..., Spec]) -> None:
    spec = make_project(f"def predict(x: int) -> int:\n    return {os.getpid()}", predictor="predict.py:predict")
    followed = list[int]()

    for _ in range(2):
        pool = Pool(spec, python=sys.executable)
        await pool.start()
        followed.append(len(PROCESS.followers))
        await pool.close(grace_seconds=0)

    assert followed == [1, 1]
    assert PROCESS.followers == ()
