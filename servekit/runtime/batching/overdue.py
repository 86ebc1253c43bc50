"""Batches that nobody wants any more, and that do not stop."""

import asyncio
import contextvars
from collections.abc import Callable
from typing import Final

from servekit.runtime.batching.batch import Batch

__all__ = ["OverdueBatches"]


class OverdueBatches:
    """Counts the batches whose code goes on though all of their members were asked to stop; on the worker's loop.

    Args:
        grace_seconds: How long their code may take to stop.
        on_overdue: Is called when that was too short for one of them.
    """

    def __init__(self, grace_seconds: float, on_overdue: Callable[[], None]) -> None:
        self._grace_seconds = grace_seconds
        self._on_overdue = on_overdue
        self._timers: dict[Batch, asyncio.TimerHandle] = {}
        self._overdue: set[Batch] = set()

    def __len__(self) -> int:
        """Return how many go on too long."""
        return len(self._overdue)

    def watch(self, batch: Batch) -> None:
        """All members of a batch were asked to stop; may be called again."""
        if batch not in self._timers:
            loop = asyncio.get_running_loop()
            self._timers[batch] = loop.call_later(self._grace_seconds, self._note, batch, context=_EMPTY)

    def forget(self, batch: Batch) -> None:
        """It has ended."""
        self._overdue.discard(batch)
        timer = self._timers.pop(batch, None)
        if timer is not None:
            timer.cancel()

    def close(self) -> None:
        """Look at none any more."""
        for timer in self._timers.values():
            timer.cancel()

    def _note(self, batch: Batch) -> None:
        self._overdue.add(batch)
        self._on_overdue()


_EMPTY: Final = contextvars.Context()
"""For timers; only the loop's thread runs in it."""
