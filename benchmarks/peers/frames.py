"""Length-prefixed frames between two event loops, gathered so that one write carries a whole loop turn."""

import asyncio
import struct
from collections.abc import Callable
from enum import IntEnum

__all__ = ["FramedProtocol", "Kind"]

_HEADER = struct.Struct("!IIB")


class Kind(IntEnum):
    """What a frame carries."""

    RUN = 0
    ANSWER = 1
    PART = 2
    END = 3


class FramedProtocol(asyncio.Protocol):
    """Writes and reads frames of (length, request id, kind, payload)."""

    def __init__(self, on_frame: Callable[[int, Kind, bytes], None]) -> None:
        self._on_frame = on_frame
        self._transport: asyncio.Transport | None = None
        self._outgoing: list[bytes] = []
        self._buffer = bytearray()
        self.closed = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "writelines")
        self._transport = transport  # type: ignore[assignment] # uvloop's transports are no subclass

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 the name is asyncio's
        """Tell whoever waits for the end."""
        self.closed.set()

    def write(self, request: int, kind: Kind, payload: bytes) -> None:
        """Send a frame with the others of this loop turn."""
        if not self._outgoing:
            asyncio.get_running_loop().call_soon(self._flush)
        self._outgoing.append(_HEADER.pack(len(payload), request, kind))
        self._outgoing.append(payload)

    def _flush(self) -> None:
        assert self._transport is not None
        self._transport.write(b"".join(self._outgoing))
        self._outgoing.clear()

    def data_received(self, data: bytes) -> None:
        """Hand out every complete frame."""
        buffer = self._buffer
        buffer += data
        position = 0
        while len(buffer) - position >= _HEADER.size:
            length, request, kind = _HEADER.unpack_from(buffer, position)
            end = position + _HEADER.size + length
            if end > len(buffer):
                break
            self._on_frame(request, Kind(kind), _copy(buffer, position + _HEADER.size, end))
            position = end
        del buffer[:position]


def _copy(buffer: bytearray, start: int, end: int) -> bytes:
    # A slice of the bytearray would be a second copy, and its view must be gone before the buffer shrinks.
    with memoryview(buffer) as view:
        return bytes(view[start:end])
