"""Whose input is next, of all batches that there are.

The batches of a server take turns, an input each, and together they leave room for single requests: those
of their inputs that wait for a slot take half of the queue at most. When there is no room a batch waits; nothing
of it is refused for that.
"""

import asyncio
import contextvars
from collections import OrderedDict
from typing import Final, Protocol

from servekit.errors import BusyError, NotReadyError
from servekit.runtime.pool import Pool
from servekit.spec import QueueSpec

__all__ = ["TurnTaker", "Turns"]

_MOST_AHEAD: Final = 64
"""How many inputs of all batches may wait for a slot, at most; enough that no slot stands empty for a turn of the
loop, however fast predictions are (by feel)."""

_MOST_AT_ONCE: Final = 64
"""So many inputs are begun in one turn of the loop: each is checked, and other requests want their turn as well."""

_LOOK_SECONDS: Final = 0.05
"""How often a batch that waits looks for room that others made: only the ends of batches' own inputs are told."""


class TurnTaker(Protocol):
    """A batch, as far as turns go."""

    @property
    def wants_turn(self) -> bool:
        """Whether there is an input to begin."""
        ...

    def begin_next(self) -> bool:
        """Begin the next input; return whether it is live now, so that `Turns.note_end` will be called.

        Raises:
            BusyError: There is no room for it.
            NotReadyError: No worker takes it.
        """
        ...

    def shut_down(self) -> None:
        """Begin nothing more: the server goes."""

    def fail(self, error: Exception) -> None:
        """Begin nothing more: the server has a fault."""


class Turns:
    """Gives batches their turns. All of it belongs to one event loop.

    Args:
        pool: Where predictions run.
        queue: How many of them may wait; there may be as many batches, and one at least.
    """

    def __init__(self, pool: Pool, queue: QueueSpec) -> None:
        self._pool = pool
        self._max_queue = queue.max
        self._most_batches = max(1, queue.max)
        self._batches = 0
        self._live = 0
        # Those that want a turn. Not a dict: taking the first of one gets slower with each taken before.
        self._line: OrderedDict[TurnTaker, None] = OrderedDict()
        self._look: asyncio.TimerHandle | None = None

    def enter(self) -> None:
        """Let one more batch in, which must `leave`.

        Raises:
            BusyError: There are as many as may be.
        """
        if self._batches >= self._most_batches:
            message = f"{self._batches} batches are under way already, and no more may be (serve.queue.max)"
            raise BusyError(message, self._pool.retry_after())
        self._batches += 1

    def leave(self, batch: TurnTaker) -> None:
        """A batch is over; inputs of it may still be live."""
        self._batches -= 1
        self._line.pop(batch, None)
        if not self._line:
            self._stop_looking()

    def ask(self, batch: TurnTaker) -> None:
        """Give a batch turns, now or soon, for as long as it wants them."""
        if batch not in self._line:
            self._line[batch] = None
            self._give()

    def note_end(self) -> None:
        """An input is live no more."""
        self._live -= 1
        if self._line:
            self._give()

    def _give(self) -> None:
        self._stop_looking()
        if self._pool.is_draining:
            while self._line:
                self._line.popitem(last=False)[0].shut_down()
            return
        held_up: list[TurnTaker] = []
        for _ in range(_MOST_AT_ONCE):
            if not self._line or not self._has_room():
                break
            batch, _ = self._line.popitem(last=False)
            if batch.wants_turn and not self._begin(batch):
                held_up.append(batch)
            elif batch.wants_turn:
                self._line[batch] = None
        seconds = 0.0 if self._line and self._has_room() else _LOOK_SECONDS
        self._line.update(dict.fromkeys(held_up))
        if self._line:
            # Under an empty Context: the timer outlives the request that happens to set it.
            loop = asyncio.get_running_loop()
            self._look = loop.call_later(seconds, self._give, context=contextvars.Context())

    def _stop_looking(self) -> None:
        if self._look is not None:
            self._look.cancel()
            self._look = None

    def _begin(self, batch: TurnTaker) -> bool:
        """Give a batch its turn; return whether it could take it."""
        try:
            self._live += batch.begin_next()
        except (BusyError, NotReadyError):
            return False
        except Exception as error:  # noqa: BLE001 - the border: its own request fails, and others have their turns
            batch.fail(error)
        return True

    def _has_room(self) -> bool:
        waiting = self._pool.queue_length
        if not waiting and self._pool.free_slots:
            return True
        if not self._live:  # one may wait wherever a single request may, or others could keep all out for ever
            return waiting < self._max_queue
        slots = self._pool.slots
        ahead = max(1, min(slots, _MOST_AHEAD))
        return self._live < slots + ahead and waiting < self._max_queue // 2
