"""What a request says about its webhook, checked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from servekit.runtime.addresses import is_public, parse_address
from servekit.runtime.targets import Target, TargetError, show_url
from servekit.server.envelope import Envelope
from servekit.server.problems import Refusal

__all__ = ["MAX_URL", "Subscription", "WebhookEvent", "read_subscription"]

MAX_URL = 8192
"""As long as the request lines that most servers take."""

_TRACE_HEADERS: Final = (b"traceparent", b"tracestate")
"""W3C Trace Context: what the receiver does belongs to the trace of the request."""


class WebhookEvent(StrEnum):
    """What a receiver can be told of."""

    START = "start"
    OUTPUT = "output"
    LOGS = "logs"
    COMPLETED = "completed"


_ALL: Final = frozenset(WebhookEvent)
_LISTED: Final = ", ".join(WebhookEvent)


@dataclass(frozen=True, slots=True)
class Subscription:
    """Where one prediction is told of.

    Attributes:
        target: The receiver.
        events: What it is told.
        trace: Headers of the request that go along.
    """

    target: Target
    events: frozenset[WebhookEvent]
    trace: tuple[tuple[str, bytes], ...] = ()


def read_subscription(
    envelope: Envelope, headers: Mapping[bytes, bytes], *, allow_private: bool
) -> Subscription | None:
    """Return where the prediction of a request is to be told of, or None when nowhere or of nothing.

    Args:
        envelope: What stands around the request's input.
        headers: The request's own.
        allow_private: Addresses may be other than public ones.

    Raises:
        Refusal: The URL cannot be sent to, or an event is unknown.
    """
    if envelope.webhook is None and envelope.webhook_events_filter is None:
        return None
    events = _read_events(envelope.webhook_events_filter)
    if envelope.webhook is None:
        return None
    target = _read_target(envelope.webhook)
    if not allow_private and _is_private(target.host):
        message = (
            f"{target.host} is not on the public internet, and webhooks are not sent there; "
            "set serve.webhook.allow_private to allow it"
        )
        raise _refuse(message, envelope.webhook)
    if not events:
        return None
    trace = tuple((name.decode(), headers[name]) for name in _TRACE_HEADERS if name in headers)
    return Subscription(target, events, trace)


def _read_events(names: Sequence[str] | None) -> frozenset[WebhookEvent]:
    for index, name in enumerate(names or ()):
        if name not in _ALL:
            message = f"unknown event; the events are {_LISTED}"
            raise Refusal.invalid(["body", "webhook_events_filter", index], message, name[:100])
    return frozenset(map(WebhookEvent, names)) if names is not None else _ALL


def _read_target(url: str) -> Target:
    if len(url) > MAX_URL:
        message = f"the URL has {len(url)} characters; it may have {MAX_URL}"
        raise _refuse(message, url)
    try:
        return Target.of(url)
    except TargetError as error:
        message = f"it {error}; expected one like https://example.com/webhooks"
        raise _refuse(message, url) from error


def _refuse(message: str, url: str) -> Refusal:
    return Refusal.invalid(["body", "webhook"], message, show_url(url))


def _is_private(host: str) -> bool:
    """Whether a host cannot be public, as far as that is known without looking up its name."""
    try:
        return not is_public(parse_address(host))
    except ValueError:  # a name; it is looked up, and looked at, for each delivery
        return host == "localhost" or host.endswith(".localhost")  # RFC 6761, section 6.3
