"""Deliveries to receivers that answer in all the ways there are."""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from servekit.runtime.targets import Target
from servekit.server.webhooks.courier import Courier, Outcome
from servekit.server.webhooks.credentials import WebhookCredentials
from servekit.server.webhooks.message import Message
from servekit.server.webhooks.subscription import Subscription, WebhookEvent
from servekit.spec import WebhookSpec

MESSAGE = Message(WebhookEvent.COMPLETED, 3, b'{"id":"a"}', is_last=True)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
KEY = b"0123456789abcdef01234567"


class Site:
    """A receiver that reads one request and answers as it is told, byte by byte if need be."""

    def __init__(self, *pieces: bytes, hangs: bool = False, reads_body: bool = True) -> None:
        self.pieces = pieces
        self.hangs = hangs
        self.reads_body = reads_body
        self.request = b""
        self.body = b""
        self.talks: set[asyncio.Task[Any]] = set()

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.talks.add(task)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await self._answer(reader, writer)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.request = await reader.readuntil(b"\r\n\r\n")
        if self.reads_body:
            self.body = await reader.readexactly(int(self.headers[b"content-length"]))
        for piece in self.pieces:
            writer.write(piece)
            await writer.drain()
        if self.hangs:
            await reader.read()

    async def wait_until_left(self) -> None:
        """Wait until every sender has hung up."""
        if self.talks:
            done, _ = await asyncio.wait(self.talks, timeout=10)
            assert done == self.talks

    @property
    def headers(self) -> dict[bytes, bytes]:
        lines = self.request.split(b"\r\n")[1:-2]
        return {name.lower(): value for name, value in (line.split(b": ", 1) for line in lines)}


@asynccontextmanager
async def listen(site: Site) -> AsyncGenerator[str]:
    server = await asyncio.start_server(site.talk, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await site.wait_until_left()


def make_courier(timeout: float = 30, *, allow_private: bool = True, **credentials: Any) -> Courier:
    spec = WebhookSpec(timeout=timeout, allow_private=allow_private)
    return Courier(spec, WebhookCredentials(**credentials))


async def deliver(url: str, courier: Courier | None = None, message: Message = MESSAGE) -> Outcome:
    subscription = Subscription(Target.of(url), frozenset(WebhookEvent), (("traceparent", b"00-1"),))
    _, outcome = await (courier or make_courier()).deliver(subscription, lambda: message)
    return outcome


async def test_a_message_is_a_post_with_all_that_a_receiver_needs() -> None:
    site = Site(OK)
    async with listen(site) as url:
        outcome = await deliver(f"{url}/a%20b?c=d#e", make_courier(keys=(KEY,), token="t"))

    sent = site.headers
    signed = b".".join([sent[b"webhook-id"], sent[b"webhook-timestamp"], site.body])
    signature = b"v1," + base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest())
    assert outcome == Outcome()
    assert site.request.startswith(b"POST /a%20b?c=d HTTP/1.1\r\n")
    assert (sent[b"content-type"], site.body) == (b"application/json", b'{"id":"a"}')
    assert (sent[b"servekit-webhook-event"], sent[b"servekit-webhook-sequence"]) == (b"completed", b"3")
    assert (sent[b"webhook-signature"], sent[b"authorization"]) == (signature, b"Bearer t")
    assert (sent[b"traceparent"], sent[b"user-agent"][:9]) == (b"00-1", b"servekit/")
    assert sent[b"host"] == url.removeprefix("http://").encode()


async def test_a_large_message_is_signed_as_a_small_one() -> None:
    site = Site(OK)
    large = Message(WebhookEvent.COMPLETED, 1, b"x" * 3_000_000, is_last=True)
    async with listen(site) as url:
        await deliver(url, make_courier(keys=(KEY,)), large)

    signed = b".".join([site.headers[b"webhook-id"], site.headers[b"webhook-timestamp"], large.body])
    assert site.headers[b"webhook-signature"][3:] == base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest())


async def test_without_a_token_the_users_credentials_in_the_url_are_sent() -> None:
    site = Site(OK)
    async with listen(site) as url:
        await deliver(url.replace("://", "://me:pw@"))

    assert site.headers[b"authorization"] == b"Basic " + base64.b64encode(b"me:pw")
    assert b"webhook-signature" not in site.headers


@pytest.mark.parametrize(
    "pieces",
    [
        (OK,),
        (b"HTTP/1.0 204 Gone well\r\n\r\n",),
        (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK,),
        tuple(bytes((byte,)) for byte in OK),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"3\r\nabc\r\n", b"0\r\n\r\n"),
        (b"HTTP/1.1 202 OK\r\nContent-Length: 10000000\r\n\r\n", b"x" * 10_000_000),
    ],
    ids=["bare", "http 1.0", "early hints", "byte by byte", "chunked", "endless"],
)
async def test_every_kind_of_yes_is_one(pieces: tuple[bytes, ...]) -> None:
    async with listen(Site(*pieces)) as url:
        assert await deliver(url) == Outcome()


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (b"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\n\r\n", Outcome("it answered 503", True, 7)),
        (b"HTTP/1.1 429 Slow\r\nretry-after: 1\r\n\r\n", Outcome("it answered 429", True, 1)),
        (b"HTTP/1.1 400 No\r\n\r\n", Outcome("it answered 400")),
        (
            b"HTTP/1.1 307 There\r\nLocation: http://127.0.0.1/\r\n\r\n",
            Outcome("it answered 307 (redirects are not followed)"),
        ),
        (b"", Outcome("the connection ended before an answer came", True)),
    ],
)
async def test_every_kind_of_no_says_why_and_whether_it_is_for_good(answer: bytes, outcome: Outcome) -> None:
    async with listen(Site(answer)) as url:
        assert await deliver(url) == outcome


@pytest.mark.parametrize(
    ("answer", "reason"), [(b"nonsense\r\n\r\n", "not HTTP"), (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100_000, "more than")]
)
async def test_what_is_no_answer_may_be_tried_again(answer: bytes, reason: str) -> None:
    async with listen(Site(answer)) as url:
        outcome = await deliver(url)

    assert (reason in (outcome.failure or ""), outcome.may_retry) == (True, True)


@pytest.mark.parametrize("pieces", [(), (b"HTTP/1.1 20",)])
async def test_a_receiver_that_hangs_is_left_when_its_time_is_up(pieces: tuple[bytes, ...]) -> None:
    site = Site(*pieces, hangs=True)
    async with listen(site) as url:
        outcome = await deliver(url, make_courier(timeout=0.05))
        await site.wait_until_left()

    assert outcome == Outcome("no answer within 0.05 seconds (serve.webhook.timeout)", may_retry=True)


async def test_a_yes_is_one_although_its_rest_never_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("servekit.server.webhooks.post._REST_SECONDS", 0.2)
    async with listen(Site(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab", hangs=True)) as url:
        assert await deliver(url, make_courier(timeout=0.1)) == Outcome()


async def test_an_answer_may_come_before_the_message_is_read() -> None:
    site = Site(b"HTTP/1.1 413 Too large\r\nContent-Length: 0\r\n\r\n", reads_body=False, hangs=True)
    large = Message(WebhookEvent.COMPLETED, 1, b"x" * 30_000_000, is_last=True)
    async with listen(site) as url:
        assert await deliver(url, message=large) == Outcome("it answered 413")


async def test_a_port_where_nobody_listens_may_be_tried_again() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        outcome = await deliver(f"http://127.0.0.1:{taken.getsockname()[1]}")

    assert outcome.failure is not None
    assert outcome.may_retry


async def test_a_host_that_does_not_exist_may_be_tried_again() -> None:
    assert await deliver("http://no-such-host.invalid/") == Outcome('there is no host "no-such-host.invalid"', True)


@pytest.mark.parametrize("host", ["127.0.0.1", "2130706433", "0x7f.1", "localhost"])
async def test_a_host_that_turns_out_to_be_private_is_never_connected_to(host: str) -> None:
    site = Site(OK)
    async with listen(site) as url:
        outcome = await deliver(url.replace("127.0.0.1", host), make_courier(allow_private=False))

    assert "not on the public internet" in (outcome.failure or "")
    assert (outcome.may_retry, site.request) == (False, b"")


async def test_of_several_addresses_the_first_that_lets_itself_be_connected_to_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    site = Site(OK)

    def find(host: str, port: int, **_: object) -> list[Any]:
        assert host == "receiver.test"
        return [(None, None, None, None, (address, port)) for address in ("127.0.0.9", "127.0.0.1")]

    monkeypatch.setattr("servekit.runtime.targets.socket.getaddrinfo", find)
    async with listen(site) as url:
        outcome = await deliver(url.replace("127.0.0.1", "receiver.test"))

    assert outcome == Outcome()
    assert site.headers[b"host"].startswith(b"receiver.test:")


async def test_a_host_that_hangs_holds_up_no_other() -> None:
    hanging, quick = Site(hangs=True), Site(OK)
    courier = make_courier()
    async with listen(hanging) as bad, listen(quick) as good:
        tries = [asyncio.create_task(deliver(bad, courier)) for _ in range(100)]
        outcome = await deliver(good.replace("127.0.0.1", "[::ffff:127.0.0.1]"), courier)
        for each in tries:
            each.cancel()
        await asyncio.wait(tries)

    assert outcome == Outcome()
