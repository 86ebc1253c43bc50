"""Deliveries over TLS, on the loop of the server and on Python's own."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop
from certificates import load_certificate, make_certificate

from servekit.runtime.targets import Target
from servekit.server.webhooks.courier import Courier, Outcome
from servekit.server.webhooks.credentials import WebhookCredentials
from servekit.server.webhooks.message import Message
from servekit.server.webhooks.subscription import Subscription, WebhookEvent
from servekit.spec import WebhookSpec

MESSAGE = Message(WebhookEvent.COMPLETED, 1, b"{}" + b" " * 500_000, is_last=True)
loops = pytest.mark.parametrize("loop_factory", [uvloop.new_event_loop, asyncio.SelectorEventLoop])
LoopFactory = Callable[[], asyncio.AbstractEventLoop]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


async def receive_one(certificate: Path, host: str) -> tuple[Outcome, list[bytes]]:
    bodies: list[bytes] = []
    context = load_certificate(certificate)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
        bodies.append(await reader.readexactly(length))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0, ssl=context) as server:
        url = f"https://{host}:{server.sockets[0].getsockname()[1]}/"
        courier = Courier(WebhookSpec(allow_private=True), WebhookCredentials())
        subscription = Subscription(Target.of(url), frozenset(WebhookEvent))
        _, outcome = await courier.deliver(subscription, lambda: MESSAGE)
    return outcome, bodies


def run(loop_factory: LoopFactory, certificate: Path, host: str) -> tuple[Outcome, list[bytes]]:
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(receive_one(certificate, host))


@loops
def test_a_receiver_whose_certificate_is_trusted_is_told(
    loop_factory: LoopFactory, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))

    assert run(loop_factory, certificate, "localhost") == (Outcome(), [MESSAGE.body])


@loops
def test_a_receiver_whose_certificate_nobody_vouches_for_is_told_nothing(
    loop_factory: LoopFactory, certificate: Path
) -> None:
    outcome, bodies = run(loop_factory, certificate, "localhost")

    assert "CERTIFICATE_VERIFY_FAILED" in (outcome.failure or "")
    assert (outcome.may_retry, bodies) == (True, [])


@loops
def test_a_certificate_for_another_host_is_not_taken(
    loop_factory: LoopFactory, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))

    outcome, bodies = run(loop_factory, certificate, "127.0.0.1")

    assert "CERTIFICATE_VERIFY_FAILED" in (outcome.failure or "")
    assert bodies == []
