"""All webhooks of one prediction, one after the other."""

import asyncio
import contextlib
import itertools
import traceback
from typing import Final

from servekit.runtime.retry import choose_pause
from servekit.server.webhooks.courier import Courier, Outcome
from servekit.server.webhooks.feed import Feed
from servekit.server.webhooks.message import Message
from servekit.server.webhooks.report import Report
from servekit.server.webhooks.subscription import Subscription

__all__ = ["Sender"]

_GIVE_UP_SECONDS: Final = 3600.0
"""How long the end of a prediction is tried to be told, however many tries that makes."""

_HURRIED_PAUSE_SECONDS: Final = 2.0
"""The longest pause between tries while the server shuts down: a receiver that comes back is reached in time."""


class Sender:
    """Tells one receiver of one prediction.

    A message is under way at a time. Those before the end are tried once, since the next one says the same and
    more; the last one is tried until the receiver takes it, refuses it, or the retries are used up.

    Args:
        feed: What is told. It is let go of, and the prediction with it, once the last message is made.
        subscription: Who is told.
        courier: Takes messages there.
        retries: How many more times the last message is tried.
        hurry: Set when the server shuts down.
        report: Told what becomes of each try.
    """

    def __init__(
        self,
        feed: Feed,
        subscription: Subscription,
        courier: Courier,
        retries: int,
        hurry: asyncio.Event,
        report: Report,
    ) -> None:
        self._feed: Feed | None = feed
        self._subscription = subscription
        self._courier = courier
        self._retries = retries
        self._hurry = hurry
        self._report = report
        self._body_bytes = 0
        self._tries = 0

    @property
    def host(self) -> str:
        """Where the receiver is."""
        return self._subscription.target.host

    @property
    def size(self) -> int:
        """How many bytes it keeps, about."""
        return self._body_bytes if self._feed is None else self._feed.size

    async def run(self) -> None:
        """Tell everything; a cancel is logged as what it is to the receiver."""
        try:
            last = await self._tell()
            if last is not None:
                await self._insist(*last)
        except asyncio.CancelledError:
            self._report.failed("the server shut down before the receiver took it", self._tries)
            raise
        except Exception:  # noqa: BLE001 - the border of a task that nobody else waits for: the log has the story
            self._report.broke(traceback.format_exc())

    async def _tell(self) -> tuple[Message, Outcome] | None:
        """Tell what happens until the end; return the last message, if there is one, and what became of it."""
        while self._feed is not None and await self._feed.wait():
            message, outcome = await self._courier.deliver(self._subscription, self._take)
            if message.is_last:
                return message, outcome
            if outcome.failure is None:
                self._report.delivered(message)
            else:
                self._report.dropped(message, outcome.failure)
        return None

    def _take(self) -> Message:
        assert self._feed is not None, "there is nothing after the last message"
        message = self._feed.take()
        if message.is_last:
            self._feed = None
            self._body_bytes = len(message.body)
        return message

    async def _insist(self, message: Message, outcome: Outcome) -> None:
        """Try the last message again as long as that makes sense."""
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + _GIVE_UP_SECONDS
        for tries in itertools.count(1):
            self._tries = tries
            if outcome.failure is None:
                self._report.delivered(message)
                return
            if not outcome.may_retry or tries > self._retries or loop.time() > give_up_at:
                self._report.failed(outcome.failure, tries)
                return
            pause_seconds = choose_pause(tries, outcome.retry_after_seconds)
            self._report.retried(message, outcome.failure, pause_seconds)
            await self._pause(pause_seconds)
            _, outcome = await self._courier.deliver(self._subscription, lambda: message)

    async def _pause(self, seconds: float) -> None:
        if self._hurry.is_set():
            await asyncio.sleep(min(seconds, _HURRIED_PAUSE_SECONDS))
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._hurry.wait()
