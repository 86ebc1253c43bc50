"""Who may come in, and when those who may not should come back."""

import time

from servekit.errors import BusyError, CallerLimitError, NotReadyError
from servekit.runtime.callers import Callers
from servekit.runtime.crew import Crew
from servekit.runtime.prediction import Prediction
from servekit.runtime.queue import WaitingLine
from servekit.runtime.rate import LONGEST_SECONDS, SlotRate
from servekit.spec import CallerSpec

__all__ = ["Admission"]


class Admission:
    """Lets predictions in, and counts those that are.

    Args:
        crew: Whose slots they are for.
        queue: Where they wait.
        rate: How fast slots get free.
        caller: What one caller may have.
    """

    def __init__(self, crew: Crew, queue: WaitingLine, rate: SlotRate, caller: CallerSpec) -> None:
        self._crew = crew
        self._queue = queue
        self._rate = rate
        self._callers = Callers(caller)
        self._count = 0
        self._turned_away = 0

    def enter(self, prediction: Prediction, *, has_slot: bool) -> None:
        """Let a prediction in; it must `leave` when it ends, however it does.

        Args:
            prediction: The new one.
            has_slot: Whether a slot is free for it, so that it need not wait.

        Raises:
            BusyError: The queue is full.
            CallerLimitError: Its caller has as many predictions as one may.
            NotReadyError: No worker is ready, and it is not known that one will be.
        """
        caller = prediction.terms.caller
        if not has_slot and not self._crew.expects_slots:
            raise NotReadyError(self.explain_unreadiness())
        if caller is not None and not self._callers.has_room(caller):
            raise CallerLimitError(self._callers.explain(caller), self._caller_retry_after(caller))
        if not has_slot and self._queue.is_full:
            message = f"all slots are busy and {len(self._queue)} predictions wait already (serve.queue.max)"
            raise BusyError(message, self.retry_after())
        self._count += 1
        if caller is not None:
            self._callers.enter(caller)

    def leave(self, prediction: Prediction) -> None:
        """A prediction has ended; called once for each that was let in."""
        self._count -= 1
        if prediction.terms.caller is not None:
            self._callers.leave(prediction.terms.caller)

    def retry_after(self) -> int:
        """Seconds after which a refused request has a chance: what waits now has been served by then.

        In turn up to twice as many, so that those who were turned away together do not come back together.
        """
        seconds = self._seconds_for(len(self._queue) + 1)
        self._turned_away += 1
        return min(LONGEST_SECONDS, seconds + self._turned_away % (seconds + 1))

    def explain_unreadiness(self) -> str:
        """Say why no worker takes predictions."""
        failure = self._crew.setups.failure
        if failure is None:
            return "setup has not finished yet; wait for /readyz to answer 200"
        summary = str(failure).splitlines()[0]
        return f"no worker is ready: {summary} (the whole story is in /health-check and in the server's log)"

    def _caller_retry_after(self, caller: bytes) -> int:
        # When as many have ended as there are live ones for each of the caller's, one of those is likely its own.
        return self._seconds_for(self._count / self._callers.count(caller))

    def _seconds_for(self, predictions: float) -> int:
        slots = sum(worker.slots for worker in self._crew.workers if worker.is_able)
        return self._rate.seconds_for(predictions, slots, time.perf_counter())
