"""A connection to a client: uvicorn's, with limits on what comes before a request's body.

uvicorn bounds neither the size of the headers nor the time they take. Nothing here costs a request that
comes in one piece more than a few attribute accesses.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from servekit.server.problems import Refusal
from servekit.server.transport import HttpProtocol

__all__ = ["Connection"]

_LINGER_SECONDS = 2.0
"""How long what still comes is read and dropped after a refusal, so that the client is there to read it."""


class _HeadTooLargeError(Exception):
    """Stops the parser."""


class Connection(HttpProtocol):
    """One client's connection.

    Beyond what uvicorn does it ends a connection whose request line and headers are too large (431) or
    do not come in time, and marks in `scope["state"]` a request that `is_whole`: its body has come.

    Attributes:
        max_head_bytes: How large request line and headers may be together.
        head_seconds: How long they may take: from the connection's start for its first request, from the
            first byte for later ones.
    """

    max_head_bytes = 1 << 16
    head_seconds = 30.0

    _is_in_head = False
    _is_in_body = False
    _is_refused = False
    _head_bytes = 0
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._deadline = self.loop.call_later(self.head_seconds, self._on_slow_head)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self._end_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came, unless it is more than can be a head."""
        if self._is_refused:
            return
        if not self._is_in_body:
            self._is_in_head = True
            self._head_bytes += len(data)
        super().data_received(data)
        if self._is_in_head:
            self._check_head()

    def on_headers_complete(self) -> None:
        """Begin the request."""
        if self._head_bytes > self.max_head_bytes and self._head_size() > self.max_head_bytes:
            raise _HeadTooLargeError  # makes the parser fail: see `send_400_response`
        self._is_in_head = False
        self._is_in_body = True
        self._head_bytes = 0
        if self._deadline is not None:
            self._end_deadline()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Take note that the body is there; nobody needs to wait for it with a deadline."""
        self._is_in_body = False
        self.scope.setdefault("state", {})["is_whole"] = True
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what the parser does not understand, or was stopped at."""
        if self._head_bytes > self.max_head_bytes:
            self._refuse_head()
        else:
            self._refuse(Refusal(400, f"{msg} It is not HTTP/1.1, or it is cut or joined wrongly."))
            self.transport.close()

    def _head_size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers or ())

    def _check_head(self) -> None:
        if self._is_refused or self.transport.is_closing():
            return
        if self._head_bytes > self.max_head_bytes:
            self.logger.warning("A request's headers are too large.")
            self._refuse_head()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(self.head_seconds, self._on_slow_head)

    def _refuse_head(self) -> None:
        message = f"the request line and the headers have more than {self.max_head_bytes} bytes; send less in them"
        self._refuse(Refusal(431, message))
        self._end_deadline()
        self._deadline = self.loop.call_later(_LINGER_SECONDS, self.transport.close)

    def _refuse(self, refusal: Refusal) -> None:
        self._is_refused = True
        if self._is_answering() and (self.cycle.response_started or not self._is_in_body):
            self.transport.close()  # the client would take it for a part of the answer that it waits for
            return
        body = refusal.body()
        self.transport.write(
            b"%bcontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b"
            % (STATUS_LINE[refusal.status], len(body), body)
        )

    def _on_slow_head(self) -> None:
        self._deadline = None
        if self._is_answering():
            self.cycle.keep_alive = False  # it ends after this answer
        else:
            self.transport.close()

    def _is_answering(self) -> bool:
        cycle: Any = self.cycle  # None before the first request
        return cycle is not None and not cycle.response_complete

    def _end_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
