"""How many deliveries are under way at once: a bounded number, of which no host has more than its part."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Final

__all__ = ["Lanes"]

_MAX_PER_HOST: Final = 16
_MAX: Final = 256
"""Chosen by feel: a host that hangs holds up its own part and nothing else, and a socket for each of them is no burden
for a server, whose limit is often 1024."""


class Lanes:
    """Gives deliveries their turn: those to one host in the order in which they asked."""

    def __init__(self) -> None:
        self._all = asyncio.Semaphore(_MAX)
        self._lanes: dict[str, _Lane] = {}

    @contextlib.asynccontextmanager
    async def turn(self, host: str) -> AsyncGenerator[None]:
        """Wait for the turn of a delivery to a host, and hold it."""
        lane = self._lanes.get(host)
        if lane is None:
            lane = self._lanes[host] = _Lane()
        lane.users += 1
        try:
            async with lane.semaphore, self._all:
                yield
        finally:
            lane.users -= 1
            if lane.users == 0:
                del self._lanes[host]


class _Lane:
    __slots__ = ("semaphore", "users")

    def __init__(self) -> None:
        self.semaphore = asyncio.Semaphore(_MAX_PER_HOST)
        self.users = 0
