"""The limits on what comes before a request's body."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from servekit.server.connection import Connection

LIMIT = Connection.max_head_bytes
GET = b"GET / HTTP/1.1\r\nHost: x\r\n"


class HastyConnection(Connection):
    head_seconds = 0.1


Connect = Callable[..., Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer whether the body had come when the request began."""
    is_whole = scope["state"].get("is_whole", False)
    while (await receive()).get("more_body", False):
        pass
    body = json.dumps(is_whole).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    config = uvicorn.Config(app, http=Connection, ws="none", lifespan="off", log_config=None)
    loop = asyncio.get_running_loop()
    servers: list[asyncio.Server] = []
    writers: list[asyncio.StreamWriter] = []

    async def connect(kind: type[Connection] = Connection) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        state = ServerState()
        server = await loop.create_server(lambda: kind(config, state, {}), "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        servers.append(server)
        writers.append(writer)
        return reader, writer

    yield connect
    for writer in writers:
        writer.close()
    for server in servers:
        server.close()


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, Any]:
    async with asyncio.timeout(30):
        status = int((await reader.readline()).split()[1])
        length = 0
        while (line := (await reader.readline()).strip().lower()) != b"":
            name, _, value = line.partition(b": ")
            length = int(value) if name == b"content-length" else length
        return status, json.loads(await reader.readexactly(length))


async def test_a_request_in_one_piece_is_known_to_be_whole(connect: Connect) -> None:
    reader, writer = await connect()

    writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")

    assert await read_answer(reader) == (200, True)


async def test_a_request_whose_body_is_still_to_come_is_not(connect: Connect) -> None:
    reader, writer = await connect()

    writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{")
    await asyncio.sleep(0.05)
    writer.write(b"}")

    assert await read_answer(reader) == (200, False)


@pytest.mark.parametrize(
    "head",
    [
        GET + b"X: " + b"a" * LIMIT,
        GET + b"X: " + b"a" * LIMIT + b"\r\n\r\n",
        GET + b"X: a\r\n" * LIMIT,
        b"GET /" + b"a" * LIMIT,
        b"GET /" + b"a" * LIMIT + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\r\n" * LIMIT,
    ],
    ids=["header", "whole header", "many headers", "path", "whole path", "blank lines"],
)
async def test_a_head_that_is_too_large_is_a_431(connect: Connect, head: bytes) -> None:
    reader, writer = await connect()

    writer.write(head)

    status, body = await read_answer(reader)
    assert status == 431
    assert str(LIMIT) in body["detail"]


async def test_a_head_that_is_too_large_ends_the_connection(connect: Connect) -> None:
    reader, writer = await connect()

    writer.write(b"GET /" + b"a" * LIMIT)

    await read_answer(reader)
    assert await asyncio.wait_for(reader.read(), 30) == b""


async def test_a_head_just_small_enough_is_taken_in_any_number_of_pieces(connect: Connect) -> None:
    reader, writer = await connect()

    writer.write(GET + b"X: " + b"a" * (LIMIT - 100))
    await asyncio.sleep(0.05)
    writer.write(b"\r\n\r\n")

    assert (await read_answer(reader))[0] == 200


async def test_large_bodies_are_no_heads(connect: Connect) -> None:
    reader, writer = await connect()

    for _ in range(2):
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (4 * LIMIT) + b"a" * (4 * LIMIT))

        assert (await read_answer(reader))[0] == 200


@pytest.mark.parametrize("start", [b"", GET, b"\r\n"], ids=["nothing", "half a head", "a blank line"])
async def test_a_head_that_does_not_come_ends_the_connection(connect: Connect, start: bytes) -> None:
    reader, writer = await connect(HastyConnection)

    writer.write(start)

    assert await asyncio.wait_for(reader.read(), 30) == b""


async def test_a_later_head_that_does_not_come_ends_the_connection(connect: Connect) -> None:
    reader, writer = await connect(HastyConnection)
    writer.write(GET + b"\r\n")
    await read_answer(reader)

    writer.write(GET)

    assert await asyncio.wait_for(reader.read(), 30) == b""


async def test_a_connection_may_rest_between_requests(connect: Connect) -> None:
    reader, writer = await connect(HastyConnection)
    writer.write(GET + b"\r\n")
    await read_answer(reader)

    await asyncio.sleep(3 * HastyConnection.head_seconds)
    writer.write(GET + b"\r\n")

    assert (await read_answer(reader))[0] == 200


async def test_what_is_not_http_is_a_400_with_a_sentence(connect: Connect) -> None:
    reader, writer = await connect()

    writer.write(b"hello\r\n\r\n")

    status, body = await read_answer(reader)
    assert status == 400
    assert "HTTP" in body["detail"]


async def test_a_body_that_is_framed_wrongly_is_a_400(connect: Connect) -> None:
    reader, writer = await connect()

    writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{}wrong\r\n")

    assert (await read_answer(reader))[0] == 400
