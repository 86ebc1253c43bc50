"""By what a receiver knows that a webhook is this server's: signatures, and Cog's bearer token.

They come from the environment and from nowhere else: a spec gets into images and repositories.

Source:
    Standard Webhooks 1.0, https://github.com/standard-webhooks/standard-webhooks
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from servekit.errors import UsageError

__all__ = ["WebhookCredentials"]

_SIGNING_VARIABLE: Final = "SERVEKIT_WEBHOOK_SECRET"
_BEARER_VARIABLE: Final = "WEBHOOK_AUTH_TOKEN"

_PREFIX: Final = "whsec_"
_MIN_BYTES, _MAX_BYTES = 24, 64


@dataclass(frozen=True)
class WebhookCredentials:
    """The secrets of a server.

    Attributes:
        keys: What webhooks are signed with; several while one takes the place of another.
        token: What receivers are told as a bearer token.
    """

    keys: tuple[bytes, ...] = field(default=(), repr=False)
    token: str | None = field(default=None, repr=False)

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "WebhookCredentials":
        """Read the variables `SERVEKIT_WEBHOOK_SECRET` and `WEBHOOK_AUTH_TOKEN`.

        Raises:
            UsageError: One of them does not have the form it should; the message does not show it.
        """
        secrets = environ.get(_SIGNING_VARIABLE, "").split()
        keys = tuple(_read_secret(secret, number) for number, secret in enumerate(secrets, 1))
        token = environ.get(_BEARER_VARIABLE, "").strip()
        if not all("!" <= letter <= "~" for letter in token):
            raise UsageError(
                f"{_BEARER_VARIABLE} has blanks or characters that a header cannot hold.\n"
                "  Set it to the bare token, without a scheme such as Bearer in front."
            )
        return cls(keys, token or None)

    def sign(self, message_id: str, timestamp: int, body: bytes) -> str:
        """Return the `webhook-signature` of a message; empty without keys."""
        head = f"{message_id}.{timestamp}.".encode()
        return " ".join(f"v1,{_sign(key, head, body)}" for key in self.keys)


def _sign(key: bytes, head: bytes, body: bytes) -> str:
    code = hmac.new(key, head, hashlib.sha256)
    code.update(body)
    return base64.b64encode(code.digest()).decode()


def _read_secret(secret: str, number: int) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not secret.startswith(_PREFIX) or not _MIN_BYTES <= len(key) <= _MAX_BYTES:
        raise UsageError(
            f"secret number {number} in {_SIGNING_VARIABLE} is not {_PREFIX} with {_MIN_BYTES} to {_MAX_BYTES} bytes "
            f'in base64 behind it.\n  Make one with: echo "{_PREFIX}$(head -c 32 /dev/urandom | base64)"'
        )
    return key
