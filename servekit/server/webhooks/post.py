"""One POST over HTTP/1.1, on a connection of its own to addresses that were checked.

It runs on the event loop, so that one deadline holds for all of it and a cancel ends it at once. A client in threads
has neither: its timeouts hold for single reads, and a receiver that hangs keeps its thread.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import httptools

from servekit.runtime.targets import Target

__all__ = ["Answer", "BadAnswerError", "post"]

_MAX_ANSWER_BYTES: Final = 1 << 16
_REST_SECONDS: Final = 1.0
"""How long a receiver may take for the rest of its answer once its status is known. Nobody reads it; but one whose
connection ends while it writes would take that for an error."""

_FIRST_FINAL_STATUS: Final = 200


class BadAnswerError(Exception):
    """What the receiver said is no answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the receiver said.

    Attributes:
        status: The HTTP status.
        retry_after: The value of its Retry-After header, if it has one.
    """

    status: int
    retry_after: str | None


async def post(
    target: Target,
    addresses: Sequence[str],
    tls: ssl.SSLContext | None,
    headers: Iterable[tuple[str, bytes]],
    body: bytes,
    deadline: float,
) -> Answer:
    """Send a body, and return the answer; redirects are answers as well.

    Args:
        target: What is asked for.
        addresses: Where to connect: to the first that lets itself be connected to.
        tls: How to encrypt, None for not at all. The certificate has to be that of the target's host.
        headers: What else the head says. They have no line breaks in them.
        body: What is sent.
        deadline: When the status of the answer has to be known, on the loop's clock.

    Raises:
        TimeoutError: The deadline has passed.
        OSError: The connection could not be made, or broke.
        BadAnswerError: The answer cannot be read.
    """
    async with asyncio.timeout_at(deadline) as limit:
        reader, writer = await _connect(target, addresses, tls)
        try:
            writer.write(_make_head(target, headers, len(body)))
            # Not waited for: an answer may come before the receiver has read everything.
            writer.write(body)
            parser = _AnswerParser()
            answer = await _read_answer(reader, parser)
            limit.reschedule(None)
            await _read_rest(reader, parser)
        finally:
            writer.transport.abort()
    return answer


async def _connect(
    target: Target, addresses: Sequence[str], tls: ssl.SSLContext | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    *others, last = addresses
    hostname = target.host if tls is not None else None
    for address in others:
        with contextlib.suppress(OSError):
            return await asyncio.open_connection(address, target.port, ssl=tls, server_hostname=hostname)
    return await asyncio.open_connection(last, target.port, ssl=tls, server_hostname=hostname)


def _make_head(target: Target, headers: Iterable[tuple[str, bytes]], length: int) -> bytes:
    lines = [
        f"POST {target.request_uri} HTTP/1.1".encode("ascii"),
        f"Host: {target.host_header}".encode("ascii"),
        b"Connection: close",
        b"Content-Length: %d" % length,
        *(name.encode("ascii") + b": " + value for name, value in headers),
    ]
    return b"\r\n".join((*lines, b"", b""))


async def _read_answer(reader: asyncio.StreamReader, parser: "_AnswerParser") -> Answer:
    size = 0
    while (answer := parser.answer) is None:
        size += await _read_some(reader, parser)
        if size > _MAX_ANSWER_BYTES:
            message = f"its answer's head has more than {_MAX_ANSWER_BYTES} bytes"
            raise BadAnswerError(message)
    return answer


async def _read_rest(reader: asyncio.StreamReader, parser: "_AnswerParser") -> None:
    """Let the receiver say what else it has to say, within bounds; its verdict is known."""
    size = 0
    with contextlib.suppress(OSError, BadAnswerError):
        async with asyncio.timeout(_REST_SECONDS):
            while not parser.is_complete and size <= _MAX_ANSWER_BYTES:
                size += await _read_some(reader, parser)


async def _read_some(reader: asyncio.StreamReader, parser: "_AnswerParser") -> int:
    data = await reader.read(_MAX_ANSWER_BYTES)
    if not data:
        message = "the connection ended before an answer came"
        raise ConnectionResetError(message)
    parser.feed(data)
    return len(data)


class _AnswerParser:
    """Called by httptools, which calls a method for each thing that it finds."""

    def __init__(self) -> None:
        self.answer: Answer | None = None
        self.is_complete = False
        self._retry_after: str | None = None
        self._parser = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            message = f"its answer is not HTTP: {error}"
            raise BadAnswerError(message) from error

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"retry-after":
            self._retry_after = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if self.answer is None and status >= _FIRST_FINAL_STATUS:  # those below come in front of the answer
            self.answer = Answer(status, self._retry_after)

    def on_message_complete(self) -> None:
        self.is_complete = self.answer is not None
