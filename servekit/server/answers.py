"""How a prediction is given to a client: when it is done, when patience runs out, or as it happens."""

import asyncio
import contextlib

import msgspec

from servekit.runtime.prediction import Prediction
from servekit.server.disconnect import DisconnectWatch
from servekit.server.exchange import ClientGoneError, Exchange, Header
from servekit.server.joining import check_room, find_start
from servekit.server.negotiation import NO_PREFERENCE, Preference, parse_prefer, wants_events
from servekit.server.problems import Refusal, refuse_problems
from servekit.server.service import Service
from servekit.server.sse import format_truncation, parse_last_event_id
from servekit.server.stream import STREAM_HEADERS, STREAM_TYPE, EventStream

__all__ = ["Answers", "refuse_old_streams", "wants_stream"]


class Answers:
    """Gives predictions to clients.

    Args:
        service: What is served.
    """

    def __init__(self, service: Service) -> None:
        self._pool = service.pool
        self._store = service.store
        self._serve = service.serve
        self._contract = service.contract
        self._location = service.contract.resource.raw_path + b"/"

    def check_stream(self, exchange: Exchange) -> None:
        """Refuse a request for events which the predictor's clients may not have.

        Raises:
            Refusal: It asks for such.
        """
        if self._contract.limits_streams and wants_stream(exchange):
            self._contract.check_stream(self._pool.model)

    async def give_to_maker(self, exchange: Exchange, prediction: Prediction) -> None:
        """Answer the request that made a prediction.

        Unless the client prefers `respond-async`, the prediction is canceled when it goes.
        """
        preference = _read_preference(exchange)
        if wants_stream(exchange):
            is_owner = not preference.responds_async
            prediction.is_shared = is_owner and self._contract.shares_streams
            await _stream(EventStream(exchange, prediction, self._serve, self._pool, is_owner=is_owner))
            return
        if preference is NO_PREFERENCE:
            await self._wait_with_client(exchange, prediction, None)
        elif preference.responds_async:
            await _wait(prediction, preference.wait_seconds or 0.0)
        else:
            await self._wait_with_client(exchange, prediction, preference.wait_seconds)
        await self._give(exchange, prediction, preference, is_new=preference.wait_seconds is None)

    def cancels_when_gone(self, exchange: Exchange) -> bool:
        """Whether the prediction of a request ends with its client."""
        return not _read_preference(exchange).responds_async

    async def give_again(self, exchange: Exchange, prediction: Prediction) -> None:
        """Answer a PUT whose prediction is there already; such a client may go without consequence."""
        if wants_stream(exchange):
            await self._attach(exchange, prediction)
            return
        preference = _read_preference(exchange)
        await _wait(prediction, preference.wait_seconds or 0.0)
        await self._give(exchange, prediction, preference)

    async def show(self, exchange: Exchange, prediction: Prediction) -> None:
        """Answer a GET: the prediction as it is now, or its events from the first or the last seen one on."""
        if wants_stream(exchange):
            await self._attach(exchange, prediction)
        else:
            await exchange.answer(200, prediction.snapshot())

    # ------------------------------------------------------------------ inside

    async def _wait_with_client(
        self, exchange: Exchange, prediction: Prediction, patience_seconds: float | None
    ) -> None:
        """Wait for the end, or for as long as the client has patience; a client that goes cancels."""
        watch = DisconnectWatch(exchange, lambda: self._pool.cancel(prediction, "canceled: the client disconnected"))
        try:
            await _wait(prediction, patience_seconds)
        finally:
            watch.end()
        if watch.is_gone:
            raise ClientGoneError

    async def _give(
        self, exchange: Exchange, prediction: Prediction, preference: Preference, *, is_new: bool = False
    ) -> None:
        """Answer with a prediction as it is now; a new one has only just been accepted."""
        headers: list[Header] = []
        if preference is not NO_PREFERENCE:
            headers.append((b"preference-applied", preference.applied))
        if not prediction.is_done:
            headers.append((b"location", self._location + prediction.id.encode()))
            body = self._contract.accept(prediction) if is_new else prediction.snapshot()
            await exchange.answer(202, body, *headers)
        elif prediction.is_refused:
            # As if it had never been admitted, so that a PUT may try again.
            self._store.discard(prediction)
            raise Refusal.unavailable(prediction.error or "refused", self._pool.retry_after())
        elif prediction.problems is not None:
            self._store.discard(prediction)
            raise refuse_problems(msgspec.json.decode(prediction.problems))
        else:
            await exchange.answer(200, prediction.snapshot(), *headers)

    async def _attach(self, exchange: Exchange, prediction: Prediction) -> None:
        check_room(prediction)
        last = exchange.headers.get(b"last-event-id")
        seen = 0 if last is None else parse_last_event_id(last, prediction)
        start = find_start(prediction, seen, self._serve.stream_history)
        if prediction.is_done and seen == len(prediction.kinds):
            await exchange.answer_empty(204)  # tells an EventSource that it need not come back
        elif start.skipped:
            told = format_truncation(start.seen, start.skipped)
            await exchange.answer(200, told, *STREAM_HEADERS, content_type=STREAM_TYPE)
        else:
            await _stream(EventStream(exchange, prediction, self._serve, self._pool, seen=start.seen))


async def _stream(stream: EventStream) -> None:
    await stream.run()
    if stream.is_gone:
        raise ClientGoneError


async def _wait(prediction: Prediction, patience_seconds: float | None) -> None:
    if patience_seconds is None:
        await prediction.done()
    elif patience_seconds > 0 and not prediction.is_done:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience_seconds):
                await prediction.done()


def refuse_old_streams(exchange: Exchange) -> None:
    """Refuse events to a client of HTTP/1.0, which has no way to frame a body whose length nobody knows.

    Raises:
        Refusal: It asks for them.
    """
    if exchange.scope["http_version"] == "1.0" and wants_stream(exchange):
        message = "an event stream needs HTTP/1.1, and this request is HTTP/1.0 (behind nginx: proxy_http_version 1.1)"
        raise Refusal(505, message)


def wants_stream(exchange: Exchange) -> bool:
    """Whether a client wants events and no JSON."""
    accept = exchange.headers.get(b"accept")
    return accept is not None and b"event-stream" in accept and wants_events(exchange.header_values(b"accept"))


def _read_preference(exchange: Exchange) -> Preference:
    if b"prefer" not in exchange.headers:
        return NO_PREFERENCE
    preference = parse_prefer(exchange.header_values(b"prefer"))
    return preference if preference.applied else NO_PREFERENCE
