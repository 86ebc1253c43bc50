"""How soon it is known that a client has gone."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from servekit.server.connection import Connection
from servekit.server.disconnect import DisconnectWatch
from servekit.server.exchange import Exchange

Events = list[str]


class Server:
    """Answers when it is let, and watches its clients meanwhile.

    Attributes:
        events: What happened, in order.
        may_watch: Lets a request that was read go on to its watch.
        may_answer: Lets it go on to its answer.
    """

    def __init__(self) -> None:
        self.events: Events = []
        self.reading = asyncio.Event()
        self.watching = asyncio.Event()
        self.may_watch = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.lost = asyncio.Event()
        self.may_watch.set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        exchange = Exchange(scope, receive, send)
        await exchange.read_body(1 << 20, 30)
        self.reading.set()
        await self.may_watch.wait()
        watch = DisconnectWatch(exchange, lambda: self.events.append("told"))
        self.events.append("watching")
        self.watching.set()
        await self.may_answer.wait()
        watch.end()
        await exchange.answer(200, b"{}")

    def make_connection(self) -> Connection:
        server = self

        class Observed(Connection):
            def eof_received(self) -> None:
                super().eof_received()
                server.events.append("end of the connection")
                server.lost.set()

        config = uvicorn.Config(self, http=Connection, ws="none", lifespan="off", log_config=None)
        return Observed(config, ServerState(), {})


Ask = Callable[..., Awaitable[asyncio.StreamWriter]]


@pytest.fixture
async def server() -> Server:
    return Server()


@pytest.fixture
async def ask(server: Server) -> AsyncIterator[Ask]:
    listener = await asyncio.get_running_loop().create_server(server.make_connection, "127.0.0.1", 0)
    writers: list[asyncio.StreamWriter] = []

    async def ask(size: int = 2) -> asyncio.StreamWriter:
        _, writer = await asyncio.open_connection(*listener.sockets[0].getsockname())
        writers.append(writer)
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size)
        return writer

    yield ask
    server.may_answer.set()
    for writer in writers:
        writer.close()
    listener.close()


async def happens(event: asyncio.Event) -> None:
    await asyncio.wait_for(event.wait(), 30)


@pytest.mark.parametrize("size", [2, 500_000], ids=["small body", "body that stopped the reading"])
async def test_it_is_told_in_the_turn_of_the_loop_in_which_the_connection_ends(
    server: Server, ask: Ask, size: int
) -> None:
    writer = await ask(size)
    await happens(server.watching)

    writer.close()
    await happens(server.lost)

    assert server.events == ["watching", "told", "end of the connection"]


async def test_a_client_that_has_gone_before_is_told_at_once(server: Server, ask: Ask) -> None:
    server.may_watch.clear()
    writer = await ask()
    await happens(server.reading)
    writer.close()
    await happens(server.lost)

    server.may_watch.set()
    await happens(server.watching)

    assert server.events == ["end of the connection", "told", "watching"]


async def test_nothing_is_told_after_the_answer(server: Server, ask: Ask) -> None:
    server.may_answer.set()
    writer = await ask()
    await happens(server.watching)

    writer.close()
    await happens(server.lost)

    assert server.events == ["watching", "end of the connection"]


async def test_the_end_of_an_earlier_watch_leaves_a_later_one_alone(server: Server) -> None:
    connection = server.make_connection()
    told: Events = []

    def earlier() -> None:
        told.append("earlier")

    def later() -> None:
        told.append("later")

    listener = await asyncio.get_running_loop().create_server(lambda: connection, "127.0.0.1", 0)
    _, writer = await asyncio.open_connection(*listener.sockets[0].getsockname())
    while connection not in connection.connections:
        await asyncio.sleep(0)
    connection.watch(earlier)
    connection.watch(later)
    connection.unwatch(earlier)

    writer.close()
    await happens(server.lost)
    listener.close()

    assert told == ["later"]
