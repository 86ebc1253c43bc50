"""A pool that a test runs, and the predictions that it starts there and awaits."""

import asyncio
import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from servekit.runtime.pool import Pool
from servekit.runtime.prediction import EventKind, Prediction
from servekit.runtime.terms import DEFAULT_TERMS, Terms

__all__ = ["RunPool", "begun", "ended", "start"]

RunPool = Callable[..., AbstractAsyncContextManager[Pool]]
"""The type of the fixture `run_pool`."""

_DEADLINE_SECONDS = 30.0


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
