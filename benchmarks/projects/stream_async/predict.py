"""Tokens as fast as the server takes them, from an async generator."""

from collections.abc import AsyncIterator


class Predictor:
    """An async generator."""

    async def predict(self, count: int) -> AsyncIterator[str]:
        """Yield numbered tokens, so that the client can tell a lost or a swapped one."""
        for index in range(count):
            yield f"token {index};"
