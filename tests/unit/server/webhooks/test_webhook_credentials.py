"""Signatures, against the vector that the libraries of Standard Webhooks test themselves with."""

import base64

import pytest

from servekit.errors import UsageError
from servekit.server.webhooks.credentials import WebhookCredentials

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
MESSAGE = ("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def read(secret: str = "", token: str = "") -> WebhookCredentials:
    return WebhookCredentials.from_environ({"SERVEKIT_WEBHOOK_SECRET": secret, "WEBHOOK_AUTH_TOKEN": token})


def test_a_signature_is_that_of_standard_webhooks() -> None:
    assert read(SECRET).sign(*MESSAGE) == SIGNATURE


def test_while_secrets_change_each_has_its_signature() -> None:
    other = "whsec_" + base64.b64encode(b"x" * 64).decode()

    first, second = read(f" {other}  {SECRET} ").sign(*MESSAGE).split(" ")

    assert (first[:3], second) == ("v1,", SIGNATURE)


def test_without_a_secret_there_is_no_signature() -> None:
    assert WebhookCredentials.from_environ({}) == WebhookCredentials()
    assert read().sign(*MESSAGE) == ""


@pytest.mark.parametrize(
    "secret",
    [
        SECRET.removeprefix("whsec_"),
        "whsec_geheim!!",
        "whsec_" + base64.b64encode(b"geheim").decode(),
        "whsec_" + base64.b64encode(b"x" * 65).decode(),
    ],
)
def test_a_secret_of_another_form_is_refused_and_not_shown(secret: str) -> None:
    with pytest.raises(UsageError, match="secret number 2 in SERVEKIT_WEBHOOK_SECRET") as caught:
        read(f"{SECRET} {secret}")

    assert secret not in str(caught.value)


@pytest.mark.parametrize("token", ["Bearer geheim", "gehe\r\nim", "géheim"])
def test_a_token_that_no_header_can_hold_is_refused_and_not_shown(token: str) -> None:
    with pytest.raises(UsageError, match="WEBHOOK_AUTH_TOKEN") as caught:
        read(token=token)

    assert "heim" not in str(caught.value)


def test_secrets_do_not_show_where_they_are_printed() -> None:
    shown = repr(read(SECRET, "geheim"))

    assert shown == "WebhookCredentials()"
