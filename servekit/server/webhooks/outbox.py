"""Everything that receivers are still to be told: bounded, owned, and brought to an end with the server."""

import asyncio
from collections import Counter
from contextvars import Context

from structlog.typing import FilteringBoundLogger

from servekit.errors import ReceiverBusyError
from servekit.runtime.prediction import Prediction
from servekit.server.metrics.tally import Tally
from servekit.server.webhooks.courier import Courier
from servekit.server.webhooks.credentials import WebhookCredentials
from servekit.server.webhooks.feed import Feed
from servekit.server.webhooks.report import Report
from servekit.server.webhooks.sender import Sender
from servekit.server.webhooks.subscription import Subscription
from servekit.spec import WebhookSpec

__all__ = ["Outbox"]

_RETRY_AFTER_SECONDS = 5
"""When a receiver that holds things up is worth another thought; chosen by feel."""

_MEASURED_SECONDS = 0.1
"""How old the figures may be by which room for bytes is found; a thousand senders take 0.2 ms to be looked at."""


class Outbox:
    """Has one task for each prediction that is told of. All of it belongs to one event loop.

    There is room for a number of predictions, and for their bytes. One host gets no more of it than is still
    free: a receiver that hangs takes half of the room at most, and there is always some for others.

    Args:
        spec: Limits and times.
        credentials: What the server is known by.
        log: Where lines go.
        tally: Where deliveries are counted.
    """

    def __init__(
        self, spec: WebhookSpec, credentials: WebhookCredentials, log: FilteringBoundLogger, tally: Tally
    ) -> None:
        self._spec = spec
        self._log = log
        self._tally = tally
        self._courier = Courier(spec, credentials)
        self._hurry = asyncio.Event()
        self._senders: dict[asyncio.Task[None], Sender] = {}
        self._counts: Counter[str] = Counter()
        self._sizes: Counter[str] = Counter()
        self._measured_at = 0.0

    def check_room(self, subscription: Subscription) -> None:
        """Refuse a prediction for whose receiver too many wait already.

        Raises:
            ReceiverBusyError: There are as many, or they take as much memory, as may.
        """
        host = subscription.target.host
        if self._has_room(host):
            return
        message = (
            f"webhooks for {self._counts[host]} predictions wait to be taken by {host}, and there is not enough room "
            f"for more: those to all hosts are {len(self._senders)}, of {self._sizes.total()} bytes "
            "(serve.webhook.max_pending, serve.webhook.max_pending_size); "
            "wait until some are taken, or ask without a webhook"
        )
        raise ReceiverBusyError(message, _RETRY_AFTER_SECONDS)

    def follow(self, prediction: Prediction, subscription: Subscription) -> None:
        """Tell a receiver what happens to a prediction, from its beginning on."""
        sender = Sender(
            Feed(prediction, subscription.events, self._spec.interval),
            subscription,
            self._courier,
            self._spec.retries,
            self._hurry,
            Report(self._log, self._tally, prediction.id, subscription),
        )
        # Under an empty Context: the task outlives the request.
        task = asyncio.create_task(sender.run(), context=Context())
        self._senders[task] = sender
        self._counts[sender.host] += 1
        self._sizes[sender.host] += sender.size
        task.add_done_callback(self._let_go)

    async def drain(self, seconds: float) -> None:
        """Wait until receivers were told of all that has ended, and no longer than so many seconds."""
        self._hurry.set()
        if self._senders:
            self._log.info("waiting for the last webhooks", predictions=len(self._senders))
            await asyncio.wait(self._senders, timeout=seconds)

    async def close(self) -> None:
        """Give up what was not delivered; each such prediction is logged."""
        tasks = list(self._senders)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _let_go(self, task: asyncio.Task[None]) -> None:
        host = self._senders.pop(task).host
        self._counts[host] -= 1
        if not self._counts[host]:
            del self._counts[host]

    def _has_room(self, host: str) -> bool:
        if self._counts[host] >= self._spec.max_pending - len(self._senders):
            return False
        if asyncio.get_running_loop().time() > self._measured_at + _MEASURED_SECONDS:
            self._measure()
        if self._has_room_for_bytes(host):
            return True
        self._measure()
        return self._has_room_for_bytes(host)

    def _has_room_for_bytes(self, host: str) -> bool:
        return self._sizes[host] < self._spec.max_pending_size - self._sizes.total()

    def _measure(self) -> None:
        """Look at every sender, which takes too long to be done for each request."""
        self._measured_at = asyncio.get_running_loop().time()
        self._sizes.clear()
        for sender in self._senders.values():
            self._sizes[sender.host] += sender.size
