"""A prediction's events as server-sent events: the same names and data that Cog sends, and an `id:` each.

The id is the number of the event, so that a client which lost its connection says with
`Last-Event-ID` where to go on.
"""

from servekit.runtime.prediction import EventKind, Prediction
from servekit.server.problems import Refusal

__all__ = ["KEEP_ALIVE", "MAX_SEND_BYTES", "EventCursor", "format_error", "format_truncation", "parse_last_event_id"]

KEEP_ALIVE = b": keep-alive\n\n"

MAX_SEND_BYTES = 1 << 18
"""Events are sent in pieces of about this size: large enough to cost little, small enough to wait for."""

_MAX_EVENTS = 4096
_OUTPUT = bytes((EventKind.OUTPUT,))
_NAMES = {
    EventKind.START: b"start",
    EventKind.LOG: b"log",
    EventKind.METRIC: b"metric",
}


class EventCursor:
    """One reader's place in a prediction's events.

    Args:
        prediction: What is read.
        seen: How many of its events the reader has already.

    Attributes:
        seen: How many events the reader has.
    """

    __slots__ = ("_outputs", "_prediction", "seen")

    def __init__(self, prediction: Prediction, seen: int = 0) -> None:
        self._prediction = prediction
        self.seen = seen
        # How many of those were output: the next one's index.
        self._outputs = prediction.kinds.count(_OUTPUT, 0, seen)

    @property
    def is_at_end(self) -> bool:
        """Whether there is nothing to read now."""
        return self.seen >= len(self._prediction.kinds)

    def backlog(self, count: int) -> tuple[int, int]:
        """Return how many events are still to be read, and how many bytes the first `count` of them have."""
        ahead = len(self._prediction.kinds) - self.seen
        return ahead, sum(map(len, self._prediction.data[self.seen : self.seen + count]))

    def read(self) -> bytes:
        """Return the next events as they are sent, about `MAX_SEND_BYTES` of them at most, and move on."""
        parts: list[bytes] = []
        room = MAX_SEND_BYTES
        kinds = self._prediction.kinds
        while room > 0 and self.seen < len(kinds):
            part = self._read_outputs(room) if kinds[self.seen] == EventKind.OUTPUT else self._read_one()
            parts.append(part)
            room -= len(part)
        return b"".join(parts)

    def _read_outputs(self, room: int) -> bytes:
        """Format the run of output events that comes next. This is where the tokens per second are decided."""
        start = self.seen
        ahead = self._prediction.kinds[start : start + _MAX_EVENTS]
        count = len(ahead) - len(ahead.lstrip(_OUTPUT))
        items = self._prediction.data[start : start + count]
        while count > 1 and sum(map(len, items)) > room:
            count //= 2
            del items[count:]
        shift = start - self._outputs
        self.seen += count
        self._outputs += count
        return b"".join(
            [
                b'id: %d\nevent: output\ndata: {"chunk":%b,"index":%d}\n\n' % (number, item, number - shift)
                for number, item in enumerate(items, start)
            ]
        )

    def _read_one(self) -> bytes:
        number = self.seen
        kind = EventKind(self._prediction.kinds[number])
        self.seen += 1
        if kind is EventKind.COMPLETED:
            # The input in it is the client's own text, which may have line breaks between its values.
            snapshot = self._prediction.snapshot().replace(b"\n", b" ").replace(b"\r", b" ")
            return b"id: %d\nevent: completed\ndata: %b\n\n" % (number, snapshot)
        return b"id: %d\nevent: %b\ndata: %b\n\n" % (number, _NAMES[kind], self._prediction.data[number])


def format_error(error: str, sent: int) -> bytes:
    """Return the event that ends a stream which cannot be sent to its end.

    It is none of the prediction's events, so its id is that of the last one that was sent: a client that comes
    back goes on there. If none was, the id is empty, as after a reset: the client then begins at the first.

    Args:
        error: JSON text.
        sent: How many events the client has.
    """
    return b'id: %b\nevent: error\ndata: {"error":%b}\n\n' % (b"%d" % (sent - 1) if sent else b"", error.encode())


def format_truncation(seen: int, skipped: int) -> bytes:
    """Return the event that is the whole stream of a client who joins too late for what it asks for.

    Its id is that of the last event that is not sent again: a client that comes back with it misses nothing more.

    Args:
        seen: How many of the prediction's events are not sent.
        skipped: How many of these the client has never had.
    """
    return (
        b'id: %d\nevent: error\ndata: {"error":"SSE stream replay truncated; events were dropped","skipped":%d}\n\n'
        % (seen - 1, skipped)
    )


def parse_last_event_id(value: bytes, prediction: Prediction) -> int:
    """Return how many events a client has that was told this `Last-Event-ID`.

    Raises:
        Refusal: It is not the id of one of the prediction's events.
    """
    if value.isdigit() and len(value) < 20 and int(value) < len(prediction.kinds):  # noqa: PLR2004 - digits of an id
        return int(value) + 1
    message = (
        f"Last-Event-ID is {value[:40].decode('latin-1')!r}; this prediction has had "
        f"{len(prediction.kinds)} events, numbered from 0. Leave the header out to read from the beginning."
    )
    raise Refusal(400, message)
