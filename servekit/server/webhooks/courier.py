"""One delivery from beginning to end: its turn, the address, the headers, the answer."""

import asyncio
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Final

from servekit.runtime.addresses import is_public, parse_address
from servekit.runtime.retry import is_worth_retrying, parse_retry_after
from servekit.runtime.targets import Target, TargetError
from servekit.server.webhooks.credentials import WebhookCredentials
from servekit.server.webhooks.lanes import Lanes
from servekit.server.webhooks.message import Message
from servekit.server.webhooks.post import Answer, BadAnswerError, post
from servekit.server.webhooks.resolver import Resolver
from servekit.server.webhooks.subscription import Subscription
from servekit.spec import WebhookSpec

__all__ = ["Courier", "Outcome"]

_OK: Final = range(200, 300)
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})

_LONG_BODY_BYTES: Final = 1 << 20
"""From here on a signature takes milliseconds, which the event loop has not to spare."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a try.

    Attributes:
        failure: Why the receiver did not take the message; None if it did.
        may_retry: It may take it later.
        retry_after_seconds: How long it asked to wait.
    """

    failure: str | None = None
    may_retry: bool = False
    retry_after_seconds: float = 0.0


class Courier:
    """Takes messages to their receivers.

    Args:
        spec: Times, and which addresses are allowed.
        credentials: What the server is known by.
    """

    def __init__(self, spec: WebhookSpec, credentials: WebhookCredentials) -> None:
        self._timeout_seconds = spec.timeout
        self._allow_private = spec.allow_private
        self._credentials = credentials
        self._lanes = Lanes()
        self._resolver = Resolver()
        self._tls: ssl.SSLContext | None = None
        self._fixed_headers: list[tuple[str, bytes]] = [
            ("Content-Type", b"application/json"),
            ("User-Agent", f"servekit/{version('servekit')}".encode()),
        ]

    async def deliver(self, subscription: Subscription, take: Callable[[], Message]) -> tuple[Message, Outcome]:
        """Wait for the turn, and try once.

        Args:
            subscription: Where to.
            take: Gives the message; called when it is the turn, so that it is no older than that.
        """
        async with self._lanes.turn(subscription.target.host):
            message = take()
            return message, await self._try(subscription, message)

    async def _try(self, subscription: Subscription, message: Message) -> Outcome:
        try:
            return _judge(await self._post(subscription, message))
        except _ForbiddenError as error:
            return Outcome(str(error))
        except (TargetError, BadAnswerError) as error:
            return Outcome(str(error), may_retry=True)
        except OSError as error:
            is_overdue = isinstance(error, TimeoutError) and error.errno is None  # the kernel gives up with a number
            text = f"no answer within {self._timeout_seconds:g} seconds (serve.webhook.timeout)"
            return Outcome(text if is_overdue else str(error) or type(error).__name__, may_retry=True)

    async def _post(self, subscription: Subscription, message: Message) -> Answer:
        target = subscription.target
        deadline = asyncio.get_running_loop().time() + self._timeout_seconds
        async with asyncio.timeout_at(deadline):
            addresses = await self._find_addresses(target)
            tls = await self._prepare_tls() if target.is_encrypted else None
            headers = await self._make_headers(subscription, message)
        return await post(target, addresses, tls, headers, message.body, deadline)

    async def _find_addresses(self, target: Target) -> list[str]:
        """Look the host up, and keep the addresses that may be sent to: to just these the connection goes."""
        found = await self._resolver.resolve(target)
        allowed = [each for each in found if self._allow_private or is_public(parse_address(each))]
        if not allowed:
            message = (
                f"{target.host} is at {found[0]}, which is not on the public internet "
                "(serve.webhook.allow_private allows it)"
            )
            raise _ForbiddenError(message)
        return allowed

    async def _prepare_tls(self) -> ssl.SSLContext:
        if self._tls is None:  # loading the certificates takes long enough to be noticed
            self._tls = await asyncio.to_thread(ssl.create_default_context)
        return self._tls

    async def _make_headers(self, subscription: Subscription, message: Message) -> list[tuple[str, bytes]]:
        timestamp = int(time.time())
        headers = [
            *self._fixed_headers,
            *subscription.trace,
            ("Webhook-Id", message.id.encode()),
            ("Webhook-Timestamp", b"%d" % timestamp),
            ("Servekit-Webhook-Event", message.event.encode()),
            ("Servekit-Webhook-Sequence", b"%d" % message.sequence),
        ]
        if self._credentials.keys:
            headers.append(("Webhook-Signature", (await self._sign(message, timestamp)).encode()))
        if self._credentials.token is not None:
            headers.append(("Authorization", b"Bearer " + self._credentials.token.encode()))
        else:
            headers += [(name.title(), value.encode()) for name, value in subscription.target.credentials.items()]
        return headers

    async def _sign(self, message: Message, timestamp: int) -> str:
        sign = self._credentials.sign
        if len(message.body) < _LONG_BODY_BYTES:
            return sign(message.id, timestamp, message.body)
        return await asyncio.to_thread(sign, message.id, timestamp, message.body)


class _ForbiddenError(Exception):
    """The receiver is where webhooks are not sent."""


def _judge(answer: Answer) -> Outcome:
    if answer.status in _OK:
        return Outcome()
    hint = " (redirects are not followed)" if answer.status in _REDIRECTS else ""
    return Outcome(
        f"it answered {answer.status}{hint}",
        may_retry=is_worth_retrying(answer.status),
        retry_after_seconds=parse_retry_after(answer.retry_after),
    )
