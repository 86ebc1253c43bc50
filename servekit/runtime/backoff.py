"""How long to wait before a worker that is gone is replaced."""

import asyncio
import math
import random

from servekit.runtime.handle import WorkerHandle

__all__ = ["Backoff"]


class Backoff:
    """Chooses the pauses: growing ones when workers keep dying, else none.

    A worker that had been ready is replaced at once the first time, and always if it was killed for a hang: it has
    lasted for `hang_timeout` already, which bounds how often that can happen.

    One that has brought predictions to their end has been of use, and what killed it may be some inputs among
    many: its place is never empty for long, or else a few of those would stop the service. In the same way a setup
    that fails now and then says less than one that never succeeds. And many workers that fail at the same time are as
    one: what they all need may have been away for a moment.
    """

    _MAX_PAUSE_SECONDS = 60.0
    _MAX_PAUSE_AFTER_USE_SECONDS = 2.0
    _SETTLED_SECONDS = 10.0
    """A ready worker that lives this long has proved itself: the next death is the first again."""

    def __init__(self) -> None:
        self._failed_setups = _Streak()
        self._deaths = _Streak()
        self._useless = _Streak()

    def note_ready(self) -> None:
        """A worker could be set up: should the next one fail, that is the first again."""
        self._failed_setups.end()

    def choose(self, worker: WorkerHandle, *, had_been_ready: bool) -> float:
        """Return the seconds between a worker's end and the start of its replacement; they are chosen once for each."""
        if worker.pause is None:
            worker.pause = self._after_service(worker) if had_been_ready else self._after_setup(worker)
        return worker.pause

    def _after_setup(self, worker: WorkerHandle) -> float:
        return _grow(self._failed_setups.count(_now(), worker.started_at), self._MAX_PAUSE_SECONDS)

    def _after_service(self, worker: WorkerHandle) -> float:
        if worker.pulse.is_given_up:
            return 0.0
        if _now() - worker.started_at > self._SETTLED_SECONDS:
            self._deaths.end()
            self._useless.end()
            return 0.0
        if worker.completed:
            self._useless.end()  # the next one that dies of its first prediction may just have met a deadly one
            deaths, limit = self._deaths, self._MAX_PAUSE_AFTER_USE_SECONDS
        else:
            deaths, limit = self._useless, self._MAX_PAUSE_SECONDS
        count = deaths.count(_now(), worker.started_at)
        return 0.0 if count == 1 else _grow(count, limit)


class _Streak:
    """Failures in a row. Workers that were there together and fail count once: it is likely one fault."""

    def __init__(self) -> None:
        self._length = 0
        self._counted_at = -math.inf

    def count(self, now: float, started_at: float) -> int:
        """Return which one in the row this is, for a worker that was started then."""
        if started_at >= self._counted_at:
            self._length += 1
            self._counted_at = now
        return self._length

    def end(self) -> None:
        """The next failure is the first again."""
        self._length = 0
        self._counted_at = -math.inf


def _now() -> float:
    return asyncio.get_running_loop().time()


def _grow(count: int, limit: float) -> float:
    longest = min(limit, 0.5 * 2.0 ** min(count, 10))
    return random.uniform(longest / 2, longest)  # noqa: S311 - spreads load, hides nothing
