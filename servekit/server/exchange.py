"""One request and its answer, on plain ASGI.

The hot path is built on this and not on a framework's request and response: those cost more than
the rest of a small prediction.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol

from servekit.server.problems import Refusal

__all__ = ["ClientConnection", "ClientGoneError", "Exchange", "Header", "Receive", "Scope", "Send"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Header = tuple[bytes, bytes]

_LINGER_SECONDS = 2.0

_JSON: Header = (b"content-type", b"application/json")


class ClientGoneError(Exception):
    """The client is gone before its request was whole; nobody waits for an answer."""


class ClientConnection(Protocol):
    """What the connection of a request offers beyond ASGI.

    Attributes:
        is_lost: The client is gone.
    """

    is_lost: bool

    def watch(self, on_lost: Callable[[], None]) -> None:
        """Have a function called when the client goes; at once if it is gone."""

    def unwatch(self, on_lost: Callable[[], None]) -> None:
        """Do not call it any more."""

    def abort(self) -> None:
        """Drop the client now, with whatever is on its way."""


class Exchange:
    """A request that is being answered.

    Attributes:
        scope: The ASGI scope.
        receive: The ASGI channel from the client.
        headers: The request's headers; of repeated ones the last (`header_values` has them all).
        status: The status of the answer, 0 as long as there is none.
        prediction_id: Which prediction the request is about, for the log.
        inputs: How many inputs the request has, for the log; None where it can have one at most.
        started: When the request came, on the clock of `time.perf_counter`.
    """

    __slots__ = ("_send", "headers", "inputs", "prediction_id", "receive", "scope", "started", "status")

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.receive = receive
        self._send = send
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.status = 0
        self.prediction_id: str | None = None
        self.inputs: int | None = None
        self.started = time.perf_counter()

    def header_values(self, name: bytes) -> str:
        """Return the values of a header that may come more than once, as one list with commas."""
        values = [value for key, value in self.scope["headers"] if key == name]
        return b",".join(values).decode("latin-1")

    async def send(self, message: Message) -> None:
        """Send an ASGI message, and take note of the status."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
        await self._send(message)

    async def answer(self, status: int, body: bytes, *headers: Header, content_type: Header = _JSON) -> None:
        """Send a whole answer, of JSON if not said otherwise."""
        self.status = status
        length = (b"content-length", b"%d" % len(body))
        await self._send({"type": "http.response.start", "status": status, "headers": [content_type, length, *headers]})
        await self._send({"type": "http.response.body", "body": body})

    async def answer_empty(self, status: int) -> None:
        """Send an answer that has no body."""
        await self.send({"type": "http.response.start", "status": status, "headers": []})
        await self._send({"type": "http.response.body", "body": b""})

    async def refuse(self, refusal: Refusal) -> None:
        """Answer with an error."""
        if refusal.is_before_the_end:
            await self._answer_and_linger(refusal)
        else:
            await self.answer(refusal.status, refusal.body(), *refusal.headers)

    async def _answer_and_linger(self, refusal: Refusal) -> None:
        """Answer while the client still sends.

        A connection that is closed with unread bytes is reset, and the answer may be lost with it. So
        what still comes is read and dropped for a moment; a client that reads has its answer by then.
        """
        body = refusal.body()
        headers = [_JSON, (b"content-length", b"%d" % len(body)), (b"connection", b"close"), *refusal.headers]
        await self.send({"type": "http.response.start", "status": refusal.status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body, "more_body": True})
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LINGER_SECONDS):
                while (await self.receive()).get("more_body", False):
                    pass
        await self._send({"type": "http.response.body", "body": b""})

    @property
    def connection(self) -> ClientConnection:
        """The connection to the client."""
        connection: ClientConnection = self.scope["state"]["connection"]
        return connection

    async def read_body(self, limit: int, stall_seconds: float) -> bytes:
        """Read the request's body.

        Args:
            limit: How many bytes it may have.
            stall_seconds: How long the client may send nothing.

        Raises:
            Refusal: It is larger, and no more than the limit was read; or the client sends nothing.
            ClientGoneError: The client went away before the end.
        """
        self.check_announced_length(limit)
        message = await self.receive_body(stall_seconds)
        if message["type"] == "http.request" and not message.get("more_body", False):
            body: bytes = message.get("body", b"")
            if len(body) > limit:
                raise Refusal.too_large(limit)
            return body
        parts: list[bytes] = []
        size = 0
        while True:
            if message["type"] == "http.disconnect":
                raise ClientGoneError
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > limit:
                raise Refusal.too_large(limit)
            if not message.get("more_body", False):
                return b"".join(parts)
            message = await self.receive_body(stall_seconds)

    async def receive_body(self, stall_seconds: float) -> Message:
        """Receive a piece of the body.

        Args:
            stall_seconds: How long the client may send nothing.

        Raises:
            Refusal: It sends nothing for so long.
        """
        if self.scope["state"].get("is_whole"):  # see `Connection`; a deadline would cost more than the reading
            return await self.receive()
        try:
            async with asyncio.timeout(stall_seconds):
                return await self.receive()
        except TimeoutError:
            message = f"nothing of the request's body came for {stall_seconds:g} seconds (serve.stall_timeout)"
            raise Refusal(408, message, is_before_the_end=True) from None

    def check_announced_length(self, limit: int) -> None:
        """Refuse a body that says itself that it is too large, before any of it is read.

        Raises:
            Refusal: It is too large.
        """
        announced = self.headers.get(b"content-length")
        if announced is not None and announced.isdigit() and int(announced) > limit:
            raise Refusal.too_large(limit)
