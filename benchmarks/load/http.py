"""Just enough of an HTTP client to be faster than any server here."""

import asyncio
import json
import re
import socket
import time
from dataclasses import dataclass, field

__all__ = ["Answer", "Connection", "ConnectionEndedError", "make_get", "make_post", "read_events"]

_LAST_CHUNK = b"\r\n0\r\n\r\n"
_OUTPUT_MARK = b"event: output"
_STAMP = re.compile(rb"token (\d+) (\d+\.\d+);")


class ConnectionEndedError(Exception):
    """The server closed the connection before its answer was complete."""


@dataclass
class Answer:
    """An answer as it came over the wire.

    Attributes:
        status: The status code.
        headers: The raw header block, in lower case.
        body: Still chunked where the server chunks.
        first_output: When the first output event was there, on the clock of `time.monotonic`.
        lateness: For stamped tokens, seconds from when each was due to when it was read.
        stamps: For stamped tokens, when each was due.
    """

    status: int = 0
    headers: bytes = b""
    body: bytearray = field(default_factory=bytearray)
    first_output: float | None = None
    lateness: list[float] = field(default_factory=list[float])
    stamps: list[float] = field(default_factory=list[float])

    @property
    def is_chunked(self) -> bool:
        """Whether the body is."""
        return b"transfer-encoding: chunked" in self.headers

    @property
    def retry_after_seconds(self) -> float | None:
        """What the server asks a refused client to wait."""
        found = re.search(rb"retry-after: (\d+)", self.headers)
        return float(found[1]) if found else None

    def content(self) -> bytes:
        """Give the body without its chunk sizes."""
        return _join_chunks(self.body) if self.is_chunked else bytes(self.body)


def _join_chunks(body: bytearray) -> bytes:
    parts: list[bytearray] = []
    position = 0
    while True:
        end = body.index(b"\r\n", position)
        size = int(body[position:end], 16)
        if size == 0:
            return b"".join(parts)
        parts.append(body[end + 2 : end + 2 + size])
        position = end + 2 + size + 2


class Connection(asyncio.Protocol):
    """One connection, one request at a time.

    Args:
        watches: Look at what comes while it comes: "" not at all, "output" for the first output event,
            "stamps" also for the time in each token.
    """

    def __init__(self, watches: str = "") -> None:
        self._watches = watches
        self._head = b""
        self._length = 0
        self._seen = 0
        self._answer = Answer()
        self._done: asyncio.Future[Answer] | None = None
        self.transport: asyncio.Transport | None = None

    @classmethod
    async def open(cls, port: int, watches: str = "", receive_buffer: int | None = None) -> "Connection":
        """Connect to loopback."""
        sock = socket.socket()
        sock.setblocking(False)
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        loop = asyncio.get_running_loop()
        try:
            await loop.sock_connect(sock, ("127.0.0.1", port))
            _, connection = await loop.create_connection(lambda: cls(watches), sock=sock)
        except BaseException:
            sock.close()
            raise
        return connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = transport  # type: ignore[assignment] # uvloop's transports are no subclass

    async def ask(self, request: bytes) -> Answer:
        """Send a request and wait for the whole answer.

        Raises:
            ConnectionEndedError: The server closed the connection before.
        """
        assert self.transport is not None
        if self.transport.is_closing():
            raise ConnectionEndedError
        self._answer, self._head, self._seen = Answer(), b"", 0
        self._done = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return await self._done

    def close(self) -> None:
        """Close it."""
        if self.transport is not None:
            self.transport.close()

    def data_received(self, data: bytes) -> None:
        """Take what came, and finish the answer when it is complete."""
        answer = self._answer
        if answer.status:
            answer.body += data
        else:
            self._head += data
            head, separator, rest = self._head.partition(b"\r\n\r\n")
            if not separator:
                return
            self._read_head(head)
            answer.body += rest
        if self._watches:
            self._watch()
        if self._is_complete() and self._done is not None and not self._done.done():
            self._done.set_result(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the request that waits."""
        if self._done is not None and not self._done.done():
            self._done.set_exception(exc or ConnectionEndedError())

    def _read_head(self, head: bytes) -> None:
        answer = self._answer
        answer.status = int(head[9:12])
        answer.headers = head.lower()
        found = re.search(rb"content-length: (\d+)", answer.headers)
        self._length = int(found[1]) if found else 0

    def _is_complete(self) -> bool:
        answer = self._answer
        if answer.is_chunked:
            return answer.body.endswith(_LAST_CHUNK) or bytes(answer.body[:6]) == _LAST_CHUNK[2:]
        return len(answer.body) >= self._length

    def _watch(self) -> None:
        answer = self._answer
        if answer.first_output is None and _OUTPUT_MARK in answer.body:
            answer.first_output = time.monotonic()
        if self._watches == "stamps" and answer.first_output is not None:
            now = time.monotonic()
            for found in _STAMP.finditer(answer.body, self._seen):
                # The last event may carry the whole output again.
                if int(found[1]) == len(answer.stamps):
                    due = float(found[2])
                    answer.stamps.append(due)
                    answer.lateness.append(now - due)
                self._seen = found.end()


def make_get(path: str) -> bytes:
    """Write a GET request."""
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


def make_post(values: dict[str, object], accept: str = "application/json") -> bytes:
    """Write the request for a prediction."""
    body = json.dumps({"input": values}).encode()
    head = f"POST /predictions HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def read_events(answer: Answer) -> list[int] | None:
    """Give the numbers of the tokens in the order in which they came, or None if the stream did not end well."""
    content = answer.content()
    outputs, mark, completed = content.partition(b"event: completed")
    if not mark or b"succeeded" not in completed:
        return None
    return [int(number) for number in re.findall(rb"token (\d+)", outputs)]
