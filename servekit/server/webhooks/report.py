"""What becomes of one prediction's webhooks, in the log and in the metrics."""

from structlog.typing import FilteringBoundLogger

from servekit.server.metrics.tally import Tally, WebhookOutcome
from servekit.server.webhooks.message import Message
from servekit.server.webhooks.subscription import Subscription

__all__ = ["Report"]


class Report:
    """Tells of one prediction's webhooks.

    Args:
        log: Where lines go.
        tally: Where they are counted.
        prediction_id: Whose they are.
        subscription: Where they go. Of the URL the log has no path: with many receivers that is the secret.
    """

    def __init__(self, log: FilteringBoundLogger, tally: Tally, prediction_id: str, subscription: Subscription) -> None:
        self._log = log
        self._tally = tally
        self._prediction_id = prediction_id
        self._receiver = subscription.target.origin
        self._has_warned = False

    def delivered(self, message: Message) -> None:
        """The receiver took a message."""
        self._count(WebhookOutcome.DELIVERED)
        self._log.debug("webhook delivered", sequence=message.sequence, **self._names(message))

    def dropped(self, message: Message, failure: str) -> None:
        """The receiver did not take a message after which others come."""
        self._count(WebhookOutcome.DROPPED)
        self._warn("webhook not delivered; a later one has the news", reason=failure, **self._names(message))

    def retried(self, message: Message, failure: str, pause_seconds: float) -> None:
        """The receiver did not take the last message, and is going to be asked again."""
        self._count(WebhookOutcome.RETRIED)
        seconds = round(pause_seconds, 1)
        self._warn("webhook not delivered; trying again", reason=failure, seconds=seconds, **self._names(message))

    def failed(self, failure: str, tries: int) -> None:
        """The receiver is not going to learn of the end."""
        self._count(WebhookOutcome.FAILED)
        self._log.error(
            "webhook lost: the receiver does not know how the prediction ended",
            reason=failure,
            tries=tries,
            prediction=self._prediction_id,
            receiver=self._receiver,
        )

    def broke(self, traceback: str) -> None:
        """Servekit is at fault."""
        self._count(WebhookOutcome.FAILED)
        self._log.error("the server failed to send a webhook", prediction=self._prediction_id, traceback=traceback)

    def _warn(self, event: str, **values: object) -> None:
        """Say it once aloud: a receiver that is away for long says nothing new with each try."""
        write = self._log.debug if self._has_warned else self._log.warning
        self._has_warned = True
        write(event, **values)

    def _count(self, outcome: WebhookOutcome) -> None:
        self._tally.webhooks[outcome] += 1

    def _names(self, message: Message) -> dict[str, str]:
        return {"kind": message.event.value, "prediction": self._prediction_id, "receiver": self._receiver}
