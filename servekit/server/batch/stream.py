"""The answer to a batch request on its way to its client, a result when it is there."""

import asyncio
import contextlib

from servekit.runtime.prediction import Status
from servekit.server.batch.formats import Format
from servekit.server.batch.run import BatchRun
from servekit.server.disconnect import DisconnectWatch
from servekit.server.exchange import ClientGoneError, Exchange
from servekit.server.sse import MAX_SEND_BYTES
from servekit.server.stream import STREAM_HEADERS
from servekit.spec import ServeSpec

__all__ = ["BatchStream"]


class BatchStream:
    """Sends the results of a batch. A client that reads slowly slows the batch down; one that goes ends it.

    Args:
        exchange: The request.
        run: The batch, which has been opened.
        form: How results are written.
        serve: For the times of keep-alives and of giving up.
    """

    def __init__(self, exchange: Exchange, run: BatchRun, form: Format, serve: ServeSpec) -> None:
        self._exchange = exchange
        self._run = run
        self._form = form
        self._serve = serve
        self._sent = 0
        self._loop = asyncio.get_running_loop()
        self._limit = asyncio.timeout(None)

    async def run(self) -> None:
        """Send everything.

        Raises:
            ClientGoneError: The client went before the end, or reads nothing any more.
        """
        watch = DisconnectWatch(self._exchange, lambda: self._leave("canceled: the client disconnected"))
        try:
            # `_leave` lets this time run out, whatever is being waited for.
            async with self._limit:
                await self._send_all()
        except TimeoutError:
            raise ClientGoneError from None
        finally:
            watch.end()
            self._run.close()
        if watch.is_gone:
            raise ClientGoneError

    async def _send_all(self) -> None:
        headers = [self._form.content_type, *STREAM_HEADERS]
        await self._exchange.send({"type": "http.response.start", "status": 200, "headers": headers})
        data = self._form.beginning + self._collect()
        while not self._run.is_over:
            if data:
                await self._send(data)
            data = self._collect() or await self._wait()
        await self._send(data + self._form.end(self._run.counts), is_last=True)

    def _collect(self) -> bytes:
        """Return the results that are there as they are sent, about `MAX_SEND_BYTES` of them at most."""
        parts: list[bytes] = []
        room = MAX_SEND_BYTES
        while room > 0 and (result := self._run.take()) is not None:
            parts.append(self._form.write(self._sent, result))
            self._sent += 1
            room -= len(result)
        return b"".join(parts)

    async def _wait(self) -> bytes:
        """Wait for results; return them, or what keeps the connection open."""
        try:
            async with asyncio.timeout(self._serve.keep_alive):
                await self._run.wait()
        except TimeoutError:
            return self._form.keep_alive
        return self._collect()

    async def _send(self, data: bytes, *, is_last: bool = False) -> None:
        stall = self._loop.call_later(self._serve.stall_timeout, self._give_up)
        try:
            await self._exchange.send({"type": "http.response.body", "body": data, "more_body": not is_last})
        finally:
            stall.cancel()

    def _give_up(self) -> None:
        # Or else the connection would wait for the client to read what is on its way.
        self._exchange.connection.abort()
        self._leave(f"canceled: the client read nothing for {self._serve.stall_timeout:g} seconds")

    def _leave(self, reason: str) -> None:
        self._run.end(Status.CANCELED, reason)
        with contextlib.suppress(RuntimeError):  # the stream is past waiting, or has not begun
            self._limit.reschedule(self._loop.time())
