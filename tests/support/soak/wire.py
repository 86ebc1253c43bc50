"""Just enough of an HTTP client to be rude: one request per connection, which may end at any byte."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

__all__ = ["Answer", "Request", "exchange", "opened", "read_events"]


@dataclass(frozen=True)
class Request:
    """What is asked."""

    method: str
    path: str
    body: bytes = b""
    headers: tuple[str, ...] = ()

    @property
    def head(self) -> bytes:
        """The request line and the headers."""
        lines = (
            f"{self.method} {self.path} HTTP/1.1",
            "Host: soak",
            "Connection: close",
            f"Content-Length: {len(self.body)}",
            *self.headers,
        )
        return "\r\n".join((*lines, "", "")).encode()


@dataclass(frozen=True)
class Answer:
    """A whole answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body, read as JSON."""
        return json.loads(self.body)


@asynccontextmanager
async def opened(address: tuple[str, int]) -> AsyncGenerator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Connect; the connection is dropped at the end of the block, whatever is on its way."""
    reader, writer = await asyncio.open_connection(*address)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def exchange(address: tuple[str, int], request: Request) -> Answer:
    """Ask, and read the answer to its end.

    Raises:
        ValueError: The answer is cut short, or is no HTTP.
    """
    async with opened(address) as (reader, writer):
        writer.write(request.head + request.body)
        return _parse(await reader.read())


def read_events(body: bytes) -> list[tuple[int, str, Any]]:
    """Return the events of a stream: number, name, data."""
    events: list[tuple[int, str, Any]] = []
    for block in body.decode().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if fields:
            events.append((int(fields["id"]), fields["event"], json.loads(fields["data"])))
    return events


def _parse(data: bytes) -> Answer:
    head, found, body = data.partition(b"\r\n\r\n")
    if not found:
        raise ValueError(f"no whole answer came, but {data[:200]!r}")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    if headers.get("transfer-encoding") == "chunked":
        body = _join_chunks(body)
    elif len(body) != int(headers["content-length"]):
        raise ValueError(f"{len(body)} bytes came of {headers['content-length']}")
    return Answer(int(first.split()[1]), headers, body)


def _join_chunks(data: bytes) -> bytes:
    parts: list[bytes] = []
    while True:
        size, found, data = data.partition(b"\r\n")
        if not found:
            raise ValueError("the body ends before its last chunk")
        count = int(size, 16)
        if count == 0:
            return b"".join(parts)
        parts.append(data[:count])
        data = data[count + 2 :]
