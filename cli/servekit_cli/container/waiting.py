"""Waiting for one thing, and no longer than for another."""

import asyncio
from typing import Any

__all__ = ["wait_unless"]


async def wait_unless(event: asyncio.Event, future: asyncio.Future[Any], seconds: float | None = None) -> None:
    """Wait until a future is done, an event is set, or time is up, whichever comes first. Nothing is canceled."""
    waiting = asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait({future, waiting}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
