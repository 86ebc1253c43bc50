"""Telling callers apart."""

from typing import Any

from servekit.server.callers import CallerKeys
from servekit.server.exchange import Exchange
from servekit.spec import CallerSpec


async def receive() -> dict[str, Any]:
    raise NotImplementedError


async def send(message: Any) -> None:
    raise NotImplementedError


def ask(*headers: tuple[bytes, bytes]) -> Exchange:
    return Exchange({"type": "http", "headers": list(headers)}, receive, send)


def test_callers_without_a_limit_are_nobody() -> None:
    assert CallerKeys(CallerSpec()).find(ask((b"x-api-key", b"one"))) is None


def test_each_value_of_the_header_is_a_caller() -> None:
    keys = CallerKeys(CallerSpec(max=1))
    one, again, other = (keys.find(ask((b"x-api-key", value))) for value in (b"one", b" one ", b"other"))

    assert one == again != other


def test_those_without_the_header_are_one_caller() -> None:
    keys = CallerKeys(CallerSpec(header="X-Tenant", max=1))

    assert keys.find(ask()) == keys.find(ask((b"x-tenant", b" "), (b"x-api-key", b"one"))) == b""


def test_the_key_does_not_tell_what_the_header_says() -> None:
    request = ask((b"x-api-key", b"one"))

    first, second = (CallerKeys(CallerSpec(max=1)).find(request) for _ in range(2))

    assert first is not None
    assert b"one" not in first
    assert first != second  # another server makes another key of it
