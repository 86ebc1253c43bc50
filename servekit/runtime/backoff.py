"""How long to wait before a worker that is gone is replaced."""

import asyncio
import random

from servekit.runtime.handle import WorkerHandle

__all__ = ["Backoff"]


class Backoff:
    """Chooses the pauses: growing ones when workers keep dying, else none.

    A worker that had been ready is replaced at once the first time, and always if it was killed for a hang: it has
    lasted for `hang_timeout` already, which bounds how often that can happen.
    """

    _MAX_PAUSE_SECONDS = 60.0
    _SETTLED_SECONDS = 10.0
    """A ready worker that lives this long has proved itself: the next death is the first again."""

    def __init__(self) -> None:
        self._failures = 0

    def choose(self, worker: WorkerHandle, *, had_been_ready: bool) -> float:
        """Return the seconds between a worker's end and the start of its replacement; they are chosen once for each."""
        if worker.pause is None and worker.pulse.is_given_up:
            worker.pause = 0.0
        if worker.pause is None:
            lived = asyncio.get_running_loop().time() - worker.started_at
            self._failures = 0 if had_been_ready and lived > self._SETTLED_SECONDS else self._failures + 1
            worker.pause = 0.0
            if not had_been_ready or self._failures > 1:
                longest = min(self._MAX_PAUSE_SECONDS, 0.5 * 2.0 ** min(self._failures, 10))
                worker.pause = random.uniform(longest / 2, longest)  # noqa: S311 - spreads load, hides nothing
        return worker.pause
