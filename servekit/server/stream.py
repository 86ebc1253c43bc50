"""An event stream on its way to one client.

One send per wake with everything there is. The stream of the client who asked for the prediction
owns it: when that client reads too slowly the generator waits, and when it goes the prediction is
canceled. Streams that were attached later read at their own pace and change nothing. Only where a
prediction is shared it goes on for them, and is canceled with the last of them.
"""

import asyncio
import contextlib

from servekit.runtime.pool import Pool
from servekit.runtime.prediction import Prediction
from servekit.server.disconnect import DisconnectWatch
from servekit.server.exchange import Exchange, Header
from servekit.server.sse import KEEP_ALIVE, EventCursor, format_error
from servekit.spec import ServeSpec

__all__ = ["STREAM_HEADERS", "STREAM_TYPE", "EventStream"]

STREAM_TYPE: Header = (b"content-type", b"text/event-stream; charset=utf-8")
STREAM_HEADERS: tuple[Header, ...] = ((b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no"))

_ERROR = '"the server cannot send the rest of this stream; its log says why"'

_MAX_BACKLOG_EVENTS = 4096
_MAX_BACKLOG_BYTES = 1 << 20
"""How far a prediction may run ahead of its reader; below a quarter of it, it goes on."""

_SLOW_SEND_SECONDS = 0.005
"""A send that takes longer waits for the client; meanwhile the backlog is looked at this often."""

_PAUSED_CHECK_SECONDS = 0.5
"""How often a client is looked at for which the generator waits already."""


class EventStream:
    """Sends a prediction's events to one client.

    Args:
        exchange: The request that asked for them.
        prediction: Whose events.
        serve: For the times of keep-alive comments and of giving up.
        pool: Where the prediction is paused and canceled.
        is_owner: Whether the client is the one who asked for the prediction.
        seen: How many of the events the client has already.
    """

    def __init__(
        self,
        exchange: Exchange,
        prediction: Prediction,
        serve: ServeSpec,
        pool: Pool,
        *,
        is_owner: bool = False,
        seen: int = 0,
    ) -> None:
        self._exchange = exchange
        self._prediction = prediction
        self._serve = serve
        self._pool = pool
        self._is_owner = is_owner
        self._is_reading = False
        self._cursor = EventCursor(prediction, seen)
        self._sent = seen
        self._loop = asyncio.get_running_loop()
        self._limit = asyncio.timeout(None)
        self._last_sent = self._loop.time()
        self._slow_check: asyncio.TimerHandle | None = None
        self._keep_alive = self._loop.call_later(serve.keep_alive, self._on_keep_alive)
        self._is_silent = False
        self._is_paused = False
        self.is_gone = False

    async def run(self) -> None:
        """Send everything until the prediction's end, or until the client is gone."""
        self._is_reading = True
        self._prediction.readers += 1
        watch = DisconnectWatch(self._exchange, lambda: self._leave("canceled: the client disconnected"))
        try:
            headers = [STREAM_TYPE, *STREAM_HEADERS]
            await self._exchange.send({"type": "http.response.start", "status": 200, "headers": headers})
            # `_leave` lets this time run out, whatever is being waited for.
            with contextlib.suppress(TimeoutError):
                async with self._limit:
                    await self._send_all()
        except Exception:
            with contextlib.suppress(Exception):  # the error on its way out says more
                await self._end(format_error(_ERROR, self._sent))
            raise
        finally:
            self._end_reading()
            watch.end()
            self._keep_alive.cancel()
            if self._is_paused:
                self._pool.resume(self._prediction)

    async def _send_all(self) -> None:
        cursor = self._cursor
        while not self.is_gone:
            while not cursor.is_at_end:
                data = cursor.read()
                self._balance()
                await self._send(data)
                self._sent = cursor.seen
            self._balance()
            if self._prediction.is_done:
                await self._end(b"")
                return
            if self._is_silent:
                await self._send(KEEP_ALIVE)
            await self._prediction.changed(cursor.seen)

    async def _send(self, data: bytes) -> None:
        now = self._loop.time()
        self._last_sent = now
        self._is_silent = False
        self._slow_check = self._loop.call_later(_SLOW_SEND_SECONDS, self._on_slow_send, now)
        try:
            await self._exchange.send({"type": "http.response.body", "body": data, "more_body": True})
        finally:
            self._slow_check.cancel()

    async def _end(self, data: bytes) -> None:
        await self._exchange.send({"type": "http.response.body", "body": data})

    def _on_slow_send(self, started: float) -> None:
        self._balance()
        if self._loop.time() - started > self._serve.stall_timeout:
            # Or else the connection would wait for the client to read what is on its way.
            self._exchange.connection.abort()
            self._leave(f"canceled: the client read nothing for {self._serve.stall_timeout:g} seconds")
            return
        pause = _PAUSED_CHECK_SECONDS if self._is_paused or not self._is_owner else _SLOW_SEND_SECONDS
        self._slow_check = self._loop.call_later(pause, self._on_slow_send, started)

    def _balance(self) -> None:
        """Let the generator wait when it is too far ahead, and go on when the client has caught up."""
        if not self._is_owner or (self._cursor.is_at_end and not self._is_paused):
            return
        events, size = self._cursor.backlog(_MAX_BACKLOG_EVENTS)
        if not self._is_paused and (events > _MAX_BACKLOG_EVENTS or size > _MAX_BACKLOG_BYTES):
            self._is_paused = True
            self._pool.pause(self._prediction)
        elif self._is_paused and events < _MAX_BACKLOG_EVENTS // 4 and size < _MAX_BACKLOG_BYTES // 4:
            self._is_paused = False
            self._pool.resume(self._prediction)

    def _on_keep_alive(self) -> None:
        """Have a comment sent when nothing else was for long.

        One timer for the stream and not one for each wait, which would cost more than the waiting.
        """
        left = self._last_sent + self._serve.keep_alive - self._loop.time()
        if left <= 0:
            self._is_silent = True
            self._prediction.nudge()
            left = self._serve.keep_alive
        self._keep_alive = self._loop.call_later(left, self._on_keep_alive)

    def _leave(self, reason: str) -> None:
        """Give up on the client."""
        self.is_gone = True
        self._end_reading()
        is_last = not self._prediction.readers
        if is_last if self._prediction.is_shared else self._is_owner:
            self._pool.cancel(self._prediction, reason)
        with contextlib.suppress(RuntimeError):  # the stream is past waiting
            self._limit.reschedule(self._loop.time())

    def _end_reading(self) -> None:
        """Count as a reader no longer; at once when the client goes, as others may look in this same turn."""
        if self._is_reading:
            self._is_reading = False
            self._prediction.readers -= 1
