"""One batch on its way: which inputs are to come, which are live, and which results wait to be taken."""

import asyncio
from collections import Counter, OrderedDict
from functools import partial

from servekit.errors import BusyError, InputError, NotReadyError
from servekit.runtime.prediction import Prediction, Status
from servekit.server.batch.envelope import BatchRequest
from servekit.server.batch.results import Result, show_early_end, show_misfit, show_prediction
from servekit.server.batch.turns import Turns
from servekit.server.batch.watch import ProgressWatch
from servekit.server.service import Request, Service

__all__ = ["BatchRun"]

_MAX_HELD_BYTES = 1 << 22
"""With so many bytes of results that its client has not taken, or that wait for one before them, a batch begins
nothing more; what is live then may still add its own."""


class BatchRun:
    """Has the inputs of a request run, a few at a time.

    Each is a prediction of its own. A batch that comes to an early end, for whatever reason, has a result for each
    input all the same: those that were not begun get the reason.

    Args:
        request: What a client asks for.
        service: Who admits predictions.
        turns: Says when the next one may be begun.
        is_ordered: Results are taken in the order of the inputs; else in that of their ends.

    Attributes:
        counts: How many of the results that were taken have which status.
    """

    def __init__(self, request: BatchRequest, service: Service, turns: Turns, *, is_ordered: bool) -> None:
        self.counts: Counter[Status] = Counter()
        self._request = request
        self._service = service
        self._turns = turns
        self._is_ordered = is_ordered
        self._next = 0
        self._live: dict[int, Prediction] = {}
        self._results: OrderedDict[int, Result] = OrderedDict()
        self._held_bytes = 0
        self._taken = 0
        self._ending: tuple[Status, str] | None = None
        self._fault: Exception | None = None
        self._news = asyncio.Event()
        self._watch = ProgressWatch(self, request.terms, service.serve.queue)

    # ------------------------------------------------------------------ life

    def open(self) -> None:
        """Begin; it must be closed.

        Raises:
            BusyError: There are too many batches.
        """
        self._turns.enter()
        self._watch.start()
        if self.wants_turn:
            self._turns.ask(self)

    def close(self) -> None:
        """End what is still live; nobody takes results any more."""
        self._watch.close()
        self.end(Status.CANCELED, "canceled: the request came to its end before")
        self._turns.leave(self)

    def end(self, status: Status, error: str) -> None:
        """Come to an early end: cancel what is live, and begin nothing more. Of several the first counts."""
        self.begin_no_more(status, error)
        for prediction in list(self._live.values()):
            self._service.pool.cancel(prediction, error)

    def begin_no_more(self, status: Status, error: str) -> None:
        """Leave those that are live to their own ends, and give all others this one."""
        if self._ending is None:
            self._ending = (status, error)
            self._news.set()

    # ------------------------------------------------------------------ turns

    @property
    def wants_turn(self) -> bool:
        """Whether there is an input to begin, and room for its result."""
        return self._ending is None and self._next < len(self._request.inputs) and self._held_bytes < _MAX_HELD_BYTES

    @property
    def is_without_slot(self) -> bool:
        """Whether there is something to run, and nothing runs."""
        if any(prediction.status is Status.PROCESSING for prediction in self._live.values()):
            return False
        return bool(self._live) or self.wants_turn

    def begin_next(self) -> bool:
        """Begin the next input; return whether it is live now, and did not come to its end at once.

        Raises:
            BusyError: There is no room for it.
            NotReadyError: No worker takes it.
        """
        index, request = self._next, self._request
        try:
            prediction = self._service.admit(
                Request(bytes(request.inputs[index]), context=request.context, terms=request.terms)
            )
        except (BusyError, NotReadyError) as error:
            self._watch.obstacle = str(error)
            raise
        except InputError as error:
            self._service.tally.request_refused(error)
            self._next += 1
            self._add(index, show_misfit(index, error))
            return False
        self._next += 1
        self._live[index] = prediction
        prediction.when_done(partial(self._on_end, index, prediction))
        return True

    def shut_down(self) -> None:
        """Begin nothing more: the server goes."""
        self.begin_no_more(Status.CANCELED, "canceled: the server is shutting down")

    def fail(self, error: Exception) -> None:
        """Come to an end by a fault of the server."""
        self._fault = error
        self.end(Status.FAILED, "the server failed to run it; its log says why")

    def _on_end(self, index: int, prediction: Prediction) -> None:
        del self._live[index]
        self._watch.note_end(prediction)
        try:
            self._add(index, self._show(index, prediction))
        except Exception as error:  # noqa: BLE001 - the border: a fault here must not leave the request without an end
            self.fail(error)
        self._turns.note_end()

    def _show(self, index: int, prediction: Prediction) -> Result:
        if prediction.problems is not None:  # its worker found what the schema cannot say
            self._service.store.discard(prediction)
        return show_prediction(index, prediction)

    def _add(self, index: int, result: Result) -> None:
        self._results[index] = result
        self._held_bytes += len(result.text)
        self._news.set()

    # ------------------------------------------------------------------ results

    @property
    def is_over(self) -> bool:
        """Whether every result was taken."""
        return self._taken == len(self._request.inputs)

    async def wait(self) -> None:
        """Wait until `take` is worth a try.

        Raises:
            Exception: The server has a fault, which the batch has run into.
        """
        await self._news.wait()
        self._news.clear()
        if self._fault is not None:
            raise self._fault

    def take(self) -> bytes | None:
        """Return the next result, or None when there is none yet."""
        result = self._find_next()
        if result is None:
            return None
        self._taken += 1
        self.counts[result.status] += 1
        if self.wants_turn:
            self._turns.ask(self)
        return result.text

    def _find_next(self) -> Result | None:
        if self._is_ordered:
            result = self._results.pop(self._taken, None)
        else:
            result = self._results.popitem(last=False)[1] if self._results else None
        if result is not None:
            self._held_bytes -= len(result.text)
            return result
        return self._give_up_next()

    def _give_up_next(self) -> Result | None:
        """Return the result of an input that is not begun any more, if there is one and it is its turn."""
        if self._ending is None or self._next == len(self._request.inputs):
            return None
        if self._is_ordered and self._taken < self._next:
            return None
        self._next += 1
        return show_early_end(self._next - 1, *self._ending)
