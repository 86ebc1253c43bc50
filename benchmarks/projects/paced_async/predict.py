"""Tokens at a model's pace, each with the time at which it was due, from an async generator."""

import asyncio
import time
from collections.abc import AsyncIterator


class Predictor:
    """An async generator that waits between its tokens."""

    async def predict(self, count: int, interval_seconds: float) -> AsyncIterator[str]:
        """Yield a token each `interval_seconds`, marked with the monotonic time at which it was due."""
        start = time.monotonic()
        for index in range(count):
            due = start + index * interval_seconds
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            yield f"token {index} {due:.6f};"
