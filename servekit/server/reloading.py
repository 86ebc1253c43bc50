"""New code for a running server: who asks for it, and what is said of it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

from servekit.errors import ServekitError
from servekit.runtime.pool import Pool
from servekit.server.observer import ServerObserver

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

__all__ = ["Changes", "Reloader"]

Changes = Callable[[], AsyncIterator[object]]
"""Gives an iterator with an item for each time that the project's files have changed."""


class Reloader:
    """Replaces the workers by new ones with today's code, and logs how that went.

    Args:
        pool: Whose workers.
        observer: The pool's; it logs failures differently meanwhile.
        log: Gives what lines are written to.
    """

    def __init__(self, pool: Pool, observer: ServerObserver, log: "Callable[[], FilteringBoundLogger]") -> None:
        self._pool = pool
        self._observer = observer
        self._log = log
        self._turn = asyncio.Lock()
        self._begun = 0
        self._ended = 0
        self._failure: ServekitError | None = None

    async def reload(self, reason: str) -> None:
        """Start new workers, and close the old ones when those are ready.

        One reload runs at a time. All who ask meanwhile share the next one, whose code is new enough for each of them.

        Args:
            reason: Why, for the log.

        Raises:
            ServekitError: The new ones could not be made ready; the message says who goes on.
        """
        seen = self._begun
        async with self._turn:
            if self._ended <= seen:
                await self._reload(reason)
            elif self._failure is not None:
                raise self._failure

    async def _reload(self, reason: str) -> None:
        self._begun += 1
        self._failure = None
        self._log().info(f"{reason}; new workers are started")
        self._observer.keeps_old_code = self._pool.is_ready
        try:
            await self._pool.reload()
        except ServekitError as error:
            rest = "the workers with the old code go on" if self._pool.is_ready else "no worker is ready"
            self._log().error(f"not reloaded; {rest}", reason=str(error).partition("\n")[0])
            self._failure = error
            self._ended = self._begun
            raise
        finally:
            self._observer.keeps_old_code = False
        self._ended = self._begun
        self._log().info("reloaded")

    async def follow(self, signal: asyncio.Event, changes: Changes | None) -> None:
        """Reload whenever a signal has come, or files have changed; never ends by itself."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow_signal(signal))
            if changes is not None:
                group.create_task(self._follow_changes(changes))

    async def _follow_signal(self, signal: asyncio.Event) -> None:
        while True:
            await signal.wait()
            signal.clear()  # those that come from here on ask for yet newer code
            await self._try("SIGHUP has come")

    async def _follow_changes(self, changes: Changes) -> None:
        async for _ in changes():
            await self._try("files have changed")

    async def _try(self, reason: str) -> None:
        with contextlib.suppress(ServekitError):  # it has been logged, and the next change may be the remedy
            await self.reload(reason)
