"""What this process has configured, on its way to the worker processes of a crew.

A worker gets it when it starts, before the first prediction that is sent after a change, and else soon
after the change. The first two make that a prediction sees what was configured before it was submitted. The last
one waits until the worker has taken the change before, so that nothing piles up for a worker that does not read.

Everything but `_learn` belongs to the crew's loop.
"""

import asyncio
import contextlib
import threading
from collections.abc import Iterable
from typing import Final

from servekit.configuration.carrying import Carried
from servekit.configuration.overlays import Overlay, current_overlay
from servekit.configuration.process import PROCESS
from servekit.runtime.handle import WorkerHandle, WorkerState
from servekit.runtime.protocol import Configure

__all__ = ["SettingsFeed"]


class SettingsFeed:
    """Keeps worker processes at what this process has configured.

    Args:
        workers: Those that there are; looked at anew each time.

    Attributes:
        newest: What is configured; None if nothing is.
        opened_at: The version of what was configured when the feed was opened.
    """

    def __init__(self, workers: Iterable[WorkerHandle]) -> None:
        self.newest: Carried | None = None
        self.opened_at = 0
        self._workers = workers
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_scheduled = False
        self._overlay: tuple[Overlay, bytes] | None = None

    def open(self) -> None:
        """Begin to follow what is configured."""
        self._loop = asyncio.get_running_loop()
        PROCESS.follow(self._learn)
        self.opened_at = 0 if self.newest is None else self.newest.version

    def close(self) -> None:
        """Follow no longer."""
        PROCESS.unfollow(self._learn)

    def sync(self, worker: WorkerHandle) -> None:
        """Send a worker what is configured, unless it was sent already; what is sent after this comes after it."""
        newest = self.newest
        if newest is not None and worker.configured is not newest:
            worker.configured = newest
            worker.unconfirmed += 1
            worker.send(Configure(newest.payload))

    def on_configured(self, worker: WorkerHandle) -> None:
        """A worker has taken what it was sent; if there is more by now, it is sent that."""
        worker.unconfirmed -= 1
        if not worker.unconfirmed:
            self.sync(worker)

    def pack_overlay(self) -> bytes | None:
        """Return what the calling code's Context overlays, for a prediction; None if it overlays nothing."""
        overlay = current_overlay()
        if overlay is None:
            return None
        if self._overlay is None or self._overlay[0] is not overlay:
            self._overlay = overlay, PROCESS.pack_overlay(overlay.merged)  # many predictions have the same
        return self._overlay[1]

    def _learn(self, carried: Carried) -> None:
        """Take note of what is configured; called by the thread that did it, maybe after that of a later change."""
        with self._lock:
            if self.newest is not None and self.newest.version >= carried.version:
                return
            self.newest = carried
            is_scheduled, self._is_scheduled = self._is_scheduled, True
        if not is_scheduled and self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed, and with it the workers are gone
                self._loop.call_soon_threadsafe(self._sync_all)

    def _sync_all(self) -> None:
        with self._lock:
            self._is_scheduled = False
        for worker in self._workers:
            if worker.state in _ABLE and not worker.unconfirmed:
                self.sync(worker)


_ABLE: Final = (WorkerState.LOADED, WorkerState.READY)
"""One that starts may not be connected, and what it is sent would be lost. It is sent the newest when it has loaded."""
