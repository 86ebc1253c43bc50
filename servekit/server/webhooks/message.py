"""One webhook: what a receiver is told at one moment."""

import secrets
from dataclasses import dataclass, field

from servekit.server.webhooks.subscription import WebhookEvent

__all__ = ["Message"]


def _make_id() -> str:
    # Not made of the prediction's id: a client may use that again, and receivers drop what they have seen.
    return f"msg_{secrets.token_hex(13)}"


@dataclass(frozen=True, slots=True)
class Message:
    """A prediction as it is told to its receiver.

    Attributes:
        event: Why it is told.
        sequence: Its number among those of its prediction, from 1.
        body: The prediction, as `GET /predictions/{id}` shows it.
        is_last: The prediction has ended, and nothing comes after this.
        id: The same in every try, and different from that of every other message.
    """

    event: WebhookEvent
    sequence: int
    body: bytes
    is_last: bool
    id: str = field(default_factory=_make_id)
