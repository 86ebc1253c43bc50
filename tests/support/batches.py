"""Predictors that take batches, whose worker a test can hold so that others gather behind it."""

import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pools import begun, ended, start

from servekit.runtime.pool import Pool
from servekit.runtime.prediction import Prediction
from servekit.runtime.terms import DEFAULT_TERMS, Terms

__all__ = ["HOLD", "arrival", "batch_of", "gather", "held", "output_of"]

HOLD = """
    import asyncio, os, time
    from collections.abc import AsyncIterator, Iterator
    from servekit import END, Batch, ConcatenateIterator, Input, batch, current_scope, current_scopes

    def tell_batch(texts):
        for scope in current_scopes():
            scope.log(",".join(texts))

    def held(texts):
        paths = [text for text in texts if text.startswith("/")]
        for scope in current_scopes() if paths else ():
            scope.log("held")
        return paths

    def hold(texts):
        '''Wait until the test lets go.'''
        for text in held(texts):
            while not os.path.exists(text):
                time.sleep(0.002)

    async def hold_async(texts):
        for text in held(texts):
            while not os.path.exists(text):
                await asyncio.sleep(0.002)
"""
"""What comes before the code of a predictor; a text that is a path holds its batch until there is a file."""


@asynccontextmanager
async def held(pool: Pool, gate: Path) -> AsyncGenerator[Prediction]:
    """Keep the worker busy with one prediction until the block ends; it logs when it has begun."""
    first = start(pool, text=str(gate))
    await begun(first)
    try:
        yield first
    finally:
        gate.touch()


@asynccontextmanager
async def arrival(pool: Pool) -> AsyncGenerator[None]:
    """Wait at the end until the worker has all that were submitted in the block and got a slot.

    Messages keep their order: when it has let go of one that it was given before them, it knows of them.
    """
    marker = start(pool, text="marker")
    yield
    pool.cancel(marker, "canceled: it has done its service")
    await ended(marker)


async def gather(
    pool: Pool, gate: Path, texts: Sequence[str], terms: Sequence[Terms] | None = None
) -> list[Prediction]:
    """Let predictions gather while another one runs, and wait for their ends."""
    async with held(pool, gate) as first, arrival(pool):
        each_terms = terms or [DEFAULT_TERMS] * len(texts)
        made = [start(pool, terms, text=text) for text, terms in zip(texts, each_terms, strict=True)]
    await ended(first)
    return [await ended(each) for each in made]


def batch_of(prediction: Prediction) -> list[str]:
    """Return which texts were in the last call that a prediction was in; its predictor has to `tell_batch`."""
    return prediction.logs.splitlines()[-1].split(",")


def output_of(prediction: Prediction) -> Any:
    """Return the output as a value."""
    return json.loads(prediction.output)
