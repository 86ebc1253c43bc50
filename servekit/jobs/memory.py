"""A ceiling for memory: above it no more rows are begun until it falls."""

import asyncio
import contextvars
from collections.abc import Callable
from typing import Final

from servekit.errors import UsageError

__all__ = ["MemoryGate", "measure_family"]


def measure_family() -> int:
    """Return the resident set size of this process and of all it started, in bytes.

    It looks at all processes of the machine, which takes some milliseconds: call it in a thread. Pages that
    several processes share are counted in each of them.
    """
    import psutil  # noqa: PLC0415 - it takes long to import, and is not in every environment of a model

    this = psutil.Process()
    size: int = this.memory_info().rss
    for member in this.children(recursive=True):
        try:
            size += member.memory_info().rss
        except psutil.Error:
            continue  # it has ended meanwhile, or belongs to another user
    return size


class MemoryGate:
    """Open while memory is below its limit.

    Args:
        limit_bytes: From where on it is shut. It opens again a little below.
        on_open: Called on the loop when it has opened.
        measure: Returns the memory in use, in bytes; called in a thread.

    Attributes:
        is_shut: Whether no more rows should be begun.
        used_bytes: What was measured last.
    """

    def __init__(
        self, limit_bytes: int, on_open: Callable[[], None], measure: Callable[[], int] = measure_family
    ) -> None:
        self.is_shut = False
        self.used_bytes = 0
        self._limit = limit_bytes
        self._on_open = on_open
        self._measure = measure
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Measure once, and from then on in the background.

        Raises:
            UsageError: Memory cannot be measured here.
        """
        try:
            await self._look()
        except ImportError as error:
            message = "a memory_limit needs the package psutil; install it, or servekit[server], which has it"
            raise UsageError(message) from error
        self._task = asyncio.get_running_loop().create_task(self._watch(), context=contextvars.Context())

    async def close(self) -> None:
        """Measure no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_INTERVAL_SECONDS)
            await self._look()

    async def _look(self) -> None:
        self.used_bytes = await asyncio.to_thread(self._measure)
        if self.is_shut:
            if self.used_bytes < self._limit * _REOPENING:
                self.is_shut = False
                self._on_open()
        else:
            self.is_shut = self.used_bytes > self._limit


_INTERVAL_SECONDS: Final = 0.5
_REOPENING: Final = 0.95
"""How much of the limit must be in use for it to stay shut; by feel, so that it does not flap."""
