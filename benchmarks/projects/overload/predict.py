"""A prediction of a fixed length, for more clients than there are slots."""

import asyncio


class Predictor:
    """Takes its time and no CPU."""

    async def predict(self, seconds: float) -> float:
        """Give back how long it slept."""
        await asyncio.sleep(seconds)
        return seconds
