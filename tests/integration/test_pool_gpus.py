"""What workers see of a real GPU; only where there is one."""

import asyncio
import ctypes
import json
import os

import pytest
from pools import RunPool

from servekit.runtime.devices import find_devices
from servekit.runtime.pool import Pool

SEES = """
    import ctypes, os

    def predict() -> dict:
        driver = ctypes.CDLL("libcuda.so.1")
        assert driver.cuInit(0) == 0
        count, identity = ctypes.c_int(), (ctypes.c_ubyte * 16)()
        assert driver.cuDeviceGetCount(ctypes.byref(count)) == 0
        assert driver.cuDeviceGetUuid(identity, 0) == 0
        return {"pid": os.getpid(), "count": count.value, "first": bytes(identity).hex()}
"""


def find_why_not() -> str | None:
    """Ask CUDA's driver for its devices as the workers will, and give the reason when there are none."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return "no NVIDIA driver here (libcuda.so.1)"
    code = driver.cuInit(0)
    return f"no NVIDIA GPU answers here (cuInit gives {code})" if code else None


_WHY_NOT = find_why_not()
pytestmark = pytest.mark.skipif(_WHY_NOT is not None, reason=str(_WHY_NOT))


async def ask_workers(pool: Pool) -> list[dict[str, object]]:
    """Run predictions until each worker has answered once."""
    answers: dict[object, dict[str, object]] = {}
    while len(answers) < len(pool.workers):
        predictions = [pool.new_prediction(b"{}") for _ in pool.workers]
        for prediction in predictions:
            pool.submit(prediction)
        await asyncio.gather(*(prediction.done() for prediction in predictions))
        for prediction in predictions:
            assert prediction.error is None
            answer = json.loads(prediction.output)
            answers[answer["pid"]] = answer
    return list(answers.values())


async def test_each_worker_sees_a_gpu_of_its_own(run_pool: RunPool) -> None:
    devices = find_devices(os.environ)
    async with run_pool(SEES, predictor="predict.py:predict", devices=devices, workers="per_gpu") as pool:
        answers = await ask_workers(pool)

        assert [answer["count"] for answer in answers] == [1] * len(devices)
        assert len({answer["first"] for answer in answers}) == len(devices)


async def test_two_workers_share_a_gpu(run_pool: RunPool) -> None:
    devices = find_devices(os.environ)[:1]
    async with run_pool(
        SEES, predictor="predict.py:predict", devices=devices, workers="per_gpu", gpus_per_worker=0.5
    ) as pool:
        first, second = await ask_workers(pool)

        assert first["first"] == second["first"]
        assert first["pid"] != second["pid"]
