"""Writes of one turn of the loop, sent together."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from servekit.server.transport import CoalescingTransport


@pytest.fixture
async def pair() -> AsyncIterator[tuple[CoalescingTransport, socket.socket]]:
    """A transport, and the other end of its connection."""
    ours, theirs = socket.socketpair()
    theirs.settimeout(5)
    loop = asyncio.get_running_loop()
    below, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
    with theirs:
        yield CoalescingTransport(below, loop), theirs
    below.abort()
    await asyncio.sleep(0)


async def test_nothing_is_sent_before_the_turn_is_over(pair: tuple[CoalescingTransport, socket.socket]) -> None:
    transport, other = pair
    other.setblocking(False)

    transport.write(b"head ")
    with pytest.raises(BlockingIOError):
        other.recv(100)
    transport.write(b"body")
    await asyncio.sleep(0)

    assert other.recv(100) == b"head body"


async def test_much_is_passed_on_at_once(pair: tuple[CoalescingTransport, socket.socket]) -> None:
    transport, other = pair

    transport.write(b"x" * 70_000)

    assert len(other.recv(100)) == 100


async def test_what_was_written_is_sent_before_the_end(pair: tuple[CoalescingTransport, socket.socket]) -> None:
    transport, other = pair

    transport.write(b"last words")
    transport.close()
    await asyncio.sleep(0)

    assert other.recv(100) == b"last words"
    assert transport.is_closing()


async def test_a_write_after_the_end_goes_nowhere(pair: tuple[CoalescingTransport, socket.socket]) -> None:
    transport, other = pair

    transport.close()
    transport.write(b"too late")
    await asyncio.sleep(0)

    assert other.recv(100) == b""
