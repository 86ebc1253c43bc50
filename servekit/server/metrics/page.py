"""The page at `/metrics`."""

import asyncio

from servekit.runtime.pool import Pool
from servekit.server.exchange import Exchange
from servekit.server.metrics.reading import Reading
from servekit.server.metrics.tally import Tally
from servekit.server.negotiation import prefers

__all__ = ["MetricsPage"]

_OPENMETRICS = "application/openmetrics-text"
_PLAIN = "text/plain"


class MetricsPage:
    """Shows what was counted, and how things are, in a form that Prometheus reads.

    Args:
        pool: Whose state is shown.
        tally: What was counted.
        queue_capacity: How many predictions may wait.
    """

    def __init__(self, pool: Pool, tally: Tally, queue_capacity: int) -> None:
        self._pool = pool
        self._tally = tally
        self._queue_capacity = queue_capacity
        self._turn = asyncio.Lock()

    async def __call__(self, exchange: Exchange) -> None:
        """Answer a scrape: in OpenMetrics if the client prefers it, else in Prometheus' own text format."""
        is_openmetrics = prefers(exchange.header_values(b"accept"), _OPENMETRICS, over=_PLAIN)
        async with self._turn:  # however many ask, they take one thread at most
            reading = Reading.take(self._pool, self._tally, self._queue_capacity)
            body, media_type = await asyncio.to_thread(_write, reading, is_openmetrics)
        await exchange.answer(200, body, content_type=(b"content-type", media_type.encode()))


def _write(reading: Reading, is_openmetrics: bool) -> tuple[bytes, str]:
    from servekit.server.metrics.families import write_metrics  # noqa: PLC0415 - heavy, and many are never asked

    return write_metrics(reading, is_openmetrics=is_openmetrics)
