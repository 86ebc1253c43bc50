"""A pool that a test runs, and the predictions that it starts there and awaits."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from servekit.runtime.pool import Pool
from servekit.runtime.prediction import EventKind, Prediction
from servekit.runtime.terms import DEFAULT_TERMS, Terms

__all__ = ["RunPool", "begun", "ended", "opened", "start"]

RunPool = Callable[..., AbstractAsyncContextManager[Pool]]
"""The type of the fixture `run_pool`."""

_DEADLINE_SECONDS = 30.0


@asynccontextmanager
async def opened(pool: Pool) -> AsyncGenerator[Pool]:
    """Have a pool ready to take predictions, and end it with all of its processes."""
    try:
        await pool.start()
        pool.set_up()
        await pool.ready()
        yield pool
    finally:
        await pool.close()


def start(pool: Pool, terms: Terms = DEFAULT_TERMS, **values: Any) -> Prediction:
    """Submit a prediction with these inputs."""
    prediction = pool.new_prediction(json.dumps(values).encode(), terms=terms)
    pool.submit(prediction)
    return prediction


async def begun(prediction: Prediction) -> Prediction:
    """Wait for its first log line."""
    async with asyncio.timeout(_DEADLINE_SECONDS):
        while EventKind.LOG not in prediction.kinds:
            await prediction.changed(len(prediction.kinds))
    return prediction


async def ended(prediction: Prediction) -> Prediction:
    """Wait for its end, whatever that is."""
    await asyncio.wait_for(prediction.done(), _DEADLINE_SECONDS)
    return prediction
