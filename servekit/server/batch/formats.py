"""The forms in which a batch is answered: one JSON document, JSON Lines, or server-sent events."""

from collections.abc import Mapping
from typing import Final, Protocol

import msgspec

from servekit.runtime.prediction import Status
from servekit.server.exchange import Header
from servekit.server.negotiation import parse_range
from servekit.server.sse import KEEP_ALIVE
from servekit.server.stream import STREAM_TYPE

__all__ = ["DOCUMENT", "LINES", "LINE_TYPES", "Format", "choose_format"]

LINE_TYPES: Final = ("application/jsonl", "application/x-ndjson")
"""What JSON Lines are called; none of the names is registered."""


class Format(Protocol):
    """How results are written.

    Attributes:
        content_type: What the answer says it is.
        is_ordered: The results stand in the order of their inputs; else each comes when it is there.
        keep_alive: What may be sent between two results, and means nothing.
        beginning: What stands in front of the first result.
    """

    content_type: Header
    is_ordered: bool
    keep_alive: bytes
    beginning: bytes

    def write(self, number: int, result: bytes) -> bytes:
        """Return a result as it is sent; its number is that of those before it."""
        ...

    def end(self, counts: Mapping[Status, int]) -> bytes:
        """Return what stands behind the last one, of which there are so many of each status."""
        ...


class _Document:
    content_type: Header = (b"content-type", b"application/json")
    is_ordered = True
    keep_alive = b" "
    beginning = b'{"results":['

    def write(self, number: int, result: bytes) -> bytes:
        return b",\n%b" % result if number else result

    def end(self, counts: Mapping[Status, int]) -> bytes:  # noqa: ARG002 - the interface
        return b"]}"


class _Lines:
    """JSON Lines. A space in front of a line belongs to the line's JSON; an empty line would be one to many readers."""

    is_ordered = False
    keep_alive = b" "
    beginning = b""

    def __init__(self, name: str) -> None:
        self.content_type: Header = (b"content-type", name.encode())

    def write(self, number: int, result: bytes) -> bytes:  # noqa: ARG002 - the interface
        return result + b"\n"

    def end(self, counts: Mapping[Status, int]) -> bytes:  # noqa: ARG002 - the interface
        return b""


class _Events:
    content_type: Header = STREAM_TYPE
    is_ordered = False
    keep_alive = KEEP_ALIVE
    beginning = b""

    def write(self, number: int, result: bytes) -> bytes:
        return b"id: %d\nevent: result\ndata: %b\n\n" % (number, result)

    def end(self, counts: Mapping[Status, int]) -> bytes:
        total = sum(counts.values())
        data = msgspec.json.encode({"total": total, **counts})
        return b"id: %d\nevent: completed\ndata: %b\n\n" % (total, data)


DOCUMENT: Final[Format] = _Document()
LINES: Final[Mapping[str, Format]] = {name: _Lines(name) for name in LINE_TYPES}
_NAMED: Final[Mapping[str, Format]] = {
    "application/json": DOCUMENT,
    **LINES,
    "text/event-stream": _Events(),
}


def choose_format(accept: str, usual: Format) -> Format:
    """Return the form that `Accept` names with the highest quality, of equals the first; else the usual one.

    Args:
        accept: The header's value.
        usual: What those get who do not say, or say by a wildcard that they take anything.
    """
    best, most = usual, 0.0
    for part in accept.split(","):
        kind, quality = parse_range(part)
        if kind in _NAMED and quality > most:
            best, most = _NAMED[kind], quality
    return best
