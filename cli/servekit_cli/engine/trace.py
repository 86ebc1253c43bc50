"""Read the reports of BuildKit that the engine's API passes on as protobuf.

The messages and their field numbers are in BuildKit's `api/services/control/control.proto`
(StatusResponse, Vertex, VertexStatus, VertexLog, VertexWarning) and in `google/protobuf/timestamp.proto`;
the encoding is "Protocol Buffers: Encoding". Five small messages do not warrant a protobuf runtime.
"""

from collections.abc import Iterator
from typing import Final

from servekit_cli.engine.status import Log, Status, Transfer, Vertex

__all__ = ["decode_trace"]


def decode_trace(message: bytes) -> Status:
    """Decode one StatusResponse.

    Raises:
        ValueError: It is none.
    """
    response = _Message(message)
    return Status(
        vertexes=tuple(_vertex(one) for one in response.messages(1)),
        transfers=tuple(_transfer(one) for one in response.messages(2)),
        logs=tuple(Log(one.text(1), one.data(4)) for one in response.messages(3)),
        warnings=tuple(one.text(3) for one in response.messages(4)),
    )


def _vertex(one: "_Message") -> Vertex:
    return Vertex(
        digest=one.text(1),
        name=one.text(3),
        is_cached=bool(one.number(4)),
        started=_time(one.messages(5)),
        completed=_time(one.messages(6)),
        error=one.text(7),
    )


def _transfer(one: "_Message") -> Transfer:
    return Transfer(vertex=one.text(2), name=one.text(1), current=one.number(4), total=one.number(5))


def _time(timestamps: list["_Message"]) -> float | None:
    return timestamps[0].number(1) + timestamps[0].number(2) / 1e9 if timestamps else None


class _Message:
    """One message, its values by field number."""

    def __init__(self, data: bytes) -> None:
        self._values: dict[int, list[bytes | int]] = {}
        for number, value in _fields(data):
            self._values.setdefault(number, []).append(value)

    def messages(self, field: int) -> list["_Message"]:
        return [_Message(value) for value in self._values.get(field, ()) if isinstance(value, bytes)]

    def data(self, field: int) -> bytes:
        value = self._values.get(field, [b""])[-1]
        return value if isinstance(value, bytes) else b""

    def text(self, field: int) -> str:
        return self.data(field).decode(errors="replace")

    def number(self, field: int) -> int:
        value = self._values.get(field, [0])[-1]
        return value if isinstance(value, int) else 0


_VARINT: Final = 0
_BYTES: Final = 2
_FIXED_LENGTHS: Final = {1: 8, 5: 4}
_MORE: Final = 0x80  # the highest bit of a varint's byte says that another one follows


def _fields(message: bytes) -> Iterator[tuple[int, bytes | int]]:
    """Split a message into field numbers and raw values."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, wire_type = key >> 3, key & 7
        if wire_type == _VARINT:
            value, at = _varint(message, at)
            yield number, value
            continue
        if wire_type == _BYTES:
            length, at = _varint(message, at)
        elif wire_type in _FIXED_LENGTHS:
            length = _FIXED_LENGTHS[wire_type]
        else:
            raise ValueError(f"no such wire type: {wire_type}")
        if at + length > len(message):
            raise ValueError("a field is longer than its message")
        yield number, message[at : at + length]
        at += length


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(message):
        byte = message[at]
        at += 1
        value |= (byte & ~_MORE) << shift
        if byte < _MORE:
            return value, at
        shift += 7
    raise ValueError("a number has no end")
