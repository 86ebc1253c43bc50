"""Noticing that a client has gone while its prediction runs."""

import asyncio
from collections.abc import Callable

from servekit.server.exchange import Exchange

__all__ = ["DisconnectWatch"]

_WATCH_AFTER_SECONDS = 0.01
"""How long a request runs before its client is watched: one that is done by then saves a task."""


class DisconnectWatch:
    """Watches the client of one request, whose body has been read.

    Args:
        exchange: The request.
        on_gone: Called once, when the client goes.

    Attributes:
        is_gone: The client went.
    """

    __slots__ = ("_exchange", "_on_gone", "_task", "_timer", "is_gone")

    def __init__(self, exchange: Exchange, on_gone: Callable[[], None]) -> None:
        self._exchange = exchange
        self._on_gone = on_gone
        self._task: asyncio.Task[None] | None = None
        self._timer = asyncio.get_running_loop().call_later(_WATCH_AFTER_SECONDS, self._begin)
        self.is_gone = False

    def end(self) -> None:
        """Watch no longer."""
        self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    def _begin(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._watch())

    async def _watch(self) -> None:
        while (await self._exchange.receive())["type"] != "http.disconnect":
            pass
        self.is_gone = True
        self._on_gone()
