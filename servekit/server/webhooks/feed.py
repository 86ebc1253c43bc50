"""A prediction's events, folded into the messages that its receiver wants."""

import asyncio
import contextlib
from typing import Final

from servekit.runtime.prediction import EventKind, Prediction
from servekit.server.webhooks.message import Message
from servekit.server.webhooks.subscription import WebhookEvent

__all__ = ["Feed"]

_UPDATES: Final = (
    (WebhookEvent.START, EventKind.START),
    (WebhookEvent.OUTPUT, EventKind.OUTPUT),
    (WebhookEvent.LOGS, EventKind.LOG),
)
"""What a message with several pieces of news is called: the first of these."""

_MAX_BYTES_PER_SECOND: Final = 10_000_000
"""How much is made of one prediction while it runs. Each message holds all that there is: without this bound one with
a large output would keep the event loop busy with encoding it again and again. It is felt from 5 MB on."""

_ONLY_THE_END: Final = frozenset({WebhookEvent.COMPLETED})


class Feed:
    """Reads one prediction for one receiver.

    A message holds the whole state, so nothing waits but the newest: whatever happens while one is under way
    is in the next. Between two of them lies the interval, or more if they are large, except in front of the last.

    Args:
        prediction: What is read.
        events: Of what the receiver wants to know.
        interval_seconds: The least time between two messages.
    """

    def __init__(self, prediction: Prediction, events: frozenset[WebhookEvent], interval_seconds: float) -> None:
        self._prediction = prediction
        self._events = events
        self._interval_seconds = interval_seconds
        self._pause_seconds = interval_seconds
        self._loop = asyncio.get_running_loop()
        self._looked_at = self._loop.time() - interval_seconds
        self._seen = 0
        self._sequence = 0

    @property
    def size(self) -> int:
        """How many bytes the prediction takes, about."""
        return self._prediction.size

    async def wait(self) -> bool:
        """Wait until there is something to tell; return whether there is, which only an end can deny."""
        prediction = self._prediction
        if self._events == _ONLY_THE_END:
            await prediction.done()
        while not prediction.is_done:
            await self._rest()
            await prediction.changed(self._seen)
            if self._find_event() is not None:
                return True
            self._seen = len(prediction.kinds)
            if self._seen > 1:  # the start alone is no reason to have what follows wait
                self._looked_at = self._loop.time()
        return self._find_event() is not None

    def take(self) -> Message:
        """Return the prediction as it is now. Call it once `wait` said that there is something to tell."""
        event = self._find_event()
        assert event is not None, "there is something to tell"
        self._looked_at = self._loop.time()
        self._seen = len(self._prediction.kinds)
        self._sequence += 1
        body = self._prediction.snapshot()
        self._pause_seconds = max(self._interval_seconds, len(body) / _MAX_BYTES_PER_SECOND)
        return Message(event, self._sequence, body, self._prediction.is_done)

    def _find_event(self) -> WebhookEvent | None:
        """Say what there is to tell: the end, or else what has come since the last message."""
        if self._prediction.is_done and WebhookEvent.COMPLETED in self._events:
            return WebhookEvent.COMPLETED
        kinds = self._prediction.kinds[self._seen :]
        return next((event for event, kind in _UPDATES if event in self._events and kind in kinds), None)

    async def _rest(self) -> None:
        """Let the interval pass, or the prediction end."""
        left = self._looked_at + self._pause_seconds - self._loop.time()
        if left > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._prediction.done()
