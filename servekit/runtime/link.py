"""How a server and a worker reach each other: over a socket pair, or within one process.

Both ends gather what is sent during one turn of their event loop and pass it on together, so a
burst of a thousand tokens costs one wake-up and one write.

Threads: `post` may be called from any thread, all else belongs to the loop of its end.
"""

import asyncio
import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, Protocol, TypeVar, cast

import msgspec

from servekit.runtime.protocol import FrameError, FrameReader, Log, Message, Outputs, encode_frame, substitute

__all__ = ["Link", "LocalLink", "SocketLink", "merge_logs"]

Sent_contra = TypeVar("Sent_contra", bound=Message, contravariant=True)
S = TypeVar("S", bound=Message)
R = TypeVar("R", bound=Message)


class Link(Protocol[Sent_contra]):
    """One end of a connection between a server and a worker."""

    def post(self, message: Sent_contra) -> None:
        """Send a message soon, in order. After the other side has gone it is dropped."""
        ...

    async def drained(self) -> None:
        """Wait until the other side has taken most of what was posted, or is gone."""
        ...

    def close(self) -> None:
        """Send what is posted and end the connection."""
        ...


class _Outbox(Generic[S]):
    """Gathers messages of any thread for one flush per loop turn."""

    def __init__(self, loop: asyncio.AbstractEventLoop, flush: Callable[[list[S]], None]) -> None:
        self._loop = loop
        self._thread = threading.get_ident()
        self._flush = flush
        self._messages: deque[S] = deque()
        self._scheduled = False

    def post(self, message: S) -> None:
        # Append first, look at the flag second; `_run` clears the flag first and empties second.
        # So whoever finds the flag set knows that its message will still be seen.
        self._messages.append(message)
        if self._scheduled:
            return
        self._scheduled = True
        if threading.get_ident() == self._thread:
            self._loop.call_soon(self._run)
        else:
            try:
                self._loop.call_soon_threadsafe(self._run)
            except RuntimeError:  # the loop is closed: nobody is left to send to
                self._messages.clear()

    def take(self) -> list[S]:
        self._scheduled = False
        messages: list[S] = []
        pop = self._messages.popleft
        while True:
            try:
                messages.append(pop())
            except IndexError:
                return messages

    def _run(self) -> None:
        messages = self.take()
        if messages:
            self._flush(messages)


class SocketLink(asyncio.BufferedProtocol, Generic[S, R]):
    """One end of a socket pair, on the running loop.

    Args:
        decode: Turns a frame into messages.

    Attributes:
        fault: What the other side sent that is no frame of messages; None if it did not.
    """

    def __init__(self, decode: Callable[[memoryview], list[R]]) -> None:
        self.fault: str | None = None
        self._decode = decode
        self._on_messages: Callable[[list[R]], None] = _ignore
        self._on_closed: Callable[[], None] = _ignore
        self._reader = FrameReader(self._on_frame)
        self._transport: asyncio.Transport | None = None
        self._outbox: _Outbox[S] = _Outbox(asyncio.get_running_loop(), self._write)
        self._writable = asyncio.Event()
        self._writable.set()
        self._gone = asyncio.Event()

    def attach(self, on_messages: Callable[[list[R]], None], on_closed: Callable[[], None]) -> None:
        """Say who is told; before the connection is made.

        Args:
            on_messages: Called with the messages of each frame.
            on_closed: Called once, when the other side has gone or sent what is no frame.
        """
        self._on_messages = on_messages
        self._on_closed = on_closed

    # -- Link

    def post(self, message: S) -> None:
        """Send a message soon, in order."""
        self._outbox.post(message)

    async def drained(self) -> None:
        """Wait until the socket takes more, or is closed."""
        await self._writable.wait()

    def close(self) -> None:
        """Send what is posted and end the connection."""
        if self._transport is not None and not self._transport.is_closing():
            self._write(self._outbox.take())
            self._transport.close()

    async def closed(self) -> None:
        """Wait until the connection has ended and what was posted before is sent or lost."""
        await self._gone.wait()

    # -- asyncio.BufferedProtocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:  # noqa: D102
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002, D102
        return self._reader.get_buffer()

    def buffer_updated(self, nbytes: int) -> None:  # noqa: D102
        try:
            self._reader.advance(nbytes)
        except FrameError as error:
            self.fault = str(error)
            if self._transport is not None:
                self._transport.abort()

    def pause_writing(self) -> None:  # noqa: D102
        self._writable.clear()

    def resume_writing(self) -> None:  # noqa: D102
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002, D102
        self._transport = None
        self._writable.set()
        self._gone.set()
        self._on_closed()

    # -- inside

    def _on_frame(self, frame: memoryview) -> None:
        try:
            messages = self._decode(frame)
        except msgspec.DecodeError as error:
            text = f"a frame of {len(frame)} bytes holds no messages: {error}"
            raise FrameError(text) from error
        self._on_messages(messages)

    def _write(self, messages: list[S]) -> None:
        if not messages or self._transport is None or self._transport.is_closing():
            return
        try:
            frame = encode_frame(merge_logs(messages))
        except Exception:  # noqa: BLE001 - one message must not take the others of this turn with it
            frame = bytearray().join(_encode_each(messages))
        self._transport.write(frame)


class LocalLink(Generic[S, R]):
    """One end of a connection within a process, between two loops in two threads.

    Two of them are made and then joined. Messages are handed over as they are, unencoded.

    What was handed over and what was taken is counted by one thread each, the sender's and the receiver's.
    """

    _HIGH_WATER_BYTES = 1 << 18
    """What may wait at the other side before `drained` waits: about as much as in a socket and its buffers."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._on_messages: Callable[[list[R]], None] = _ignore
        self._on_closed: Callable[[], None] = _ignore
        self._peer: LocalLink[R, S] | None = None
        self._outbox: _Outbox[S] = _Outbox(loop, self._hand_over)
        self._arrived: deque[tuple[list[R], int]] = deque()
        self._handed_bytes = 0
        self._taken_bytes = 0
        self._closed = False
        self._writable = asyncio.Event()
        self._writable.set()

    def attach(self, on_messages: Callable[[list[R]], None], on_closed: Callable[[], None]) -> None:
        """Say who is told, on this end's loop; before the ends are joined."""
        self._on_messages = on_messages
        self._on_closed = on_closed

    def join(self, other: "LocalLink[R, S]") -> None:
        """Connect the two ends, before either is used."""
        self._peer = other
        other._peer = self  # noqa: SLF001 - the pair is one thing

    def post(self, message: S) -> None:
        """Send a message soon, in order."""
        self._outbox.post(message)

    async def drained(self) -> None:
        """Wait until the other side has taken most of what was posted."""
        await self._writable.wait()

    def close(self) -> None:
        """Send what is posted and end the connection."""
        peer, self._peer = self._peer, None
        if peer is not None:
            peer._receive(self._outbox.take(), 0)  # noqa: SLF001
            peer._call(peer._peer_gone)  # noqa: SLF001

    def _hand_over(self, messages: list[S]) -> None:
        peer = self._peer
        if peer is None:
            return
        size = _weigh(messages)
        self._handed_bytes += size
        peer._receive(list(merge_logs(messages)), size)  # noqa: SLF001
        if self._handed_bytes - peer._taken_bytes > self._HIGH_WATER_BYTES:  # noqa: SLF001
            self._writable.clear()
            # The other side looks at our flag after it has emptied its queue. Should it have done
            # so just before the line above, nobody would wake us: so look again.
            if not peer._arrived:  # noqa: SLF001
                self._writable.set()

    def _receive(self, messages: list[R], size: int) -> None:
        self._arrived.append((messages, size))
        self._call(self._deliver)

    def _deliver(self) -> None:
        while self._arrived:
            messages, size = self._arrived.popleft()
            self._taken_bytes += size
            self._on_messages(messages)
        peer = self._peer
        if peer is not None and not peer._writable.is_set():  # noqa: SLF001
            peer._call(peer._writable.set)  # noqa: SLF001

    def _peer_gone(self) -> None:
        if not self._closed:
            self._closed = True
            self._peer = None
            self._writable.set()
            self._on_closed()

    def _call(self, function: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(function)
        except RuntimeError:  # that loop is closed already; it has no use for messages
            self._arrived.clear()


def _weigh(messages: Sequence[Message]) -> int:
    """Return about how much memory messages take; of those that come in numbers it is their items that count."""
    return sum(_MESSAGE_BYTES + sum(map(len, each.items)) for each in messages if isinstance(each, Outputs))


_MESSAGE_BYTES = 100
"""What a message takes beside its items; a rough figure."""


def _ignore(*_arguments: object) -> None:
    """Stand in until an end is attached."""


def merge_logs(messages: Sequence[S]) -> Sequence[S]:
    """Join neighbouring `Log` messages of one source: a `print` with five arguments writes ten times."""
    if Log not in map(type, messages):
        return messages
    merged: list[S] = []
    for origin, group in itertools.groupby(messages, _log_origin):
        if origin is None:
            merged.extend(group)
        else:
            text = "".join(message.text for message in group if isinstance(message, Log))
            merged.append(cast("S", Log(*origin, text)))
    return merged


def _encode_each(messages: Sequence[Message]) -> Iterator[bytearray]:
    for message in messages:
        try:
            yield encode_frame([message])
        except Exception as error:  # noqa: BLE001 - told in its place
            instead = substitute(message, error)
            if instead is not None:
                yield encode_frame([instead])


def _log_origin(message: Message) -> tuple[int, str] | None:
    return (message.key, message.source) if isinstance(message, Log) else None
