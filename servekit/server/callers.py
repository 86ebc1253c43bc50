"""Telling callers apart by a header of their requests."""

import hashlib
import secrets

from servekit.server.exchange import Exchange
from servekit.spec import CallerSpec

__all__ = ["CallerKeys"]

_DIGEST_BYTES = 16


class CallerKeys:
    """Makes of the header by which callers are known a key that tells them apart, and nothing about them.

    What the header says may be a secret: only a digest goes further, keyed anew for each server.

    Args:
        spec: Which header it is, and whether callers are limited at all.
    """

    def __init__(self, spec: CallerSpec) -> None:
        self._header = spec.header.lower().encode() if spec.max is not None else None
        self._secret = secrets.token_bytes(_DIGEST_BYTES)

    def find(self, exchange: Exchange) -> bytes | None:
        """Return the key of a request's caller: empty for one that does not say, None where callers do not count."""
        if self._header is None:
            return None
        value = exchange.headers.get(self._header, b"").strip()
        return hashlib.blake2b(value, key=self._secret, digest_size=_DIGEST_BYTES).digest() if value else b""
