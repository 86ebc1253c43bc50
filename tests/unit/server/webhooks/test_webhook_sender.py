"""Tries and pauses, on a clock that stands still."""

import asyncio
import itertools
from collections.abc import Callable, Iterator

import pytest
from clock_loop import ClockLoop
from logbook import Logbook

from servekit.runtime.prediction import Prediction, Status
from servekit.runtime.targets import Target
from servekit.server.metrics.tally import Tally
from servekit.server.webhooks.courier import Courier, Outcome
from servekit.server.webhooks.credentials import WebhookCredentials
from servekit.server.webhooks.feed import Feed
from servekit.server.webhooks.message import Message
from servekit.server.webhooks.report import Report
from servekit.server.webhooks.sender import Sender
from servekit.server.webhooks.subscription import Subscription, WebhookEvent
from servekit.spec import WebhookSpec

SUBSCRIPTION = Subscription(Target.of("https://u:geheim@example.com/geheim?key=geheim"), frozenset(WebhookEvent))
AWAY = Outcome("it answered 503", may_retry=True)
NO = Outcome("it answered 400")


@pytest.fixture
def loop(logbook: Logbook) -> Iterator[ClockLoop]:
    del logbook  # it is closed after the tasks, which write to it when they end
    loop = ClockLoop()
    yield loop
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.settle()
    loop.close()
    assert not loop.faults


class ScriptedCourier(Courier):
    """Has its outcomes told in advance; then everything succeeds."""

    def __init__(self, loop: ClockLoop, outcomes: list[Outcome]) -> None:
        super().__init__(WebhookSpec(), WebhookCredentials())
        self._loop = loop
        self._outcomes = outcomes
        self.tries: list[tuple[float, Message]] = []
        self.error: Exception | None = None

    async def deliver(self, subscription: Subscription, take: Callable[[], Message]) -> tuple[Message, Outcome]:
        message = take()
        self.tries.append((self._loop.time(), message))
        if self.error is not None:
            raise self.error
        return message, self._outcomes.pop(0) if self._outcomes else Outcome()


class Case:
    """A sender, and all that belongs to it."""

    def __init__(self, loop: ClockLoop, logbook: Logbook, *outcomes: Outcome, retries: int = 12) -> None:
        self.loop = loop
        self.logbook = logbook
        self.tally = Tally()
        self.hurry = asyncio.Event()
        self.prediction = Prediction("a", 1, b"{}")
        self.courier = ScriptedCourier(loop, list(outcomes))
        report = Report(logbook.log, self.tally, "a", SUBSCRIPTION)
        self.sender = loop.do(
            lambda: Sender(
                Feed(self.prediction, SUBSCRIPTION.events, 0.5),
                SUBSCRIPTION,
                self.courier,
                retries,
                self.hurry,
                report,
            )
        )
        self.task = loop.create_task(self.sender.run())
        loop.settle()

    def finish(self) -> None:
        self.loop.do(self.prediction.finish, Status.SUCCEEDED)

    @property
    def pauses(self) -> list[float]:
        hours = [hour for hour, _ in self.courier.tries]
        return [after - before for before, after in itertools.pairwise(hours)]

    @property
    def counts(self) -> dict[str, int]:
        return {outcome.value: count for outcome, count in self.tally.webhooks.items() if count}

    def lines(self, level: str) -> list[str]:
        return [line["event"] for line in self.logbook.lines if line["level"] == level]


def test_the_end_is_told_again_with_growing_pauses_until_it_is_taken(loop: ClockLoop, logbook: Logbook) -> None:
    case = Case(loop, logbook, *[AWAY] * 8)

    case.finish()
    loop.advance(3600)

    assert case.task.done()
    assert [round(pause, 3) > 0.1 * 2**number * 0.99 for number, pause in enumerate(case.pauses)] == [True] * 8
    assert len({message.id for _, message in case.courier.tries}) == 1
    assert case.counts == {"retried": 8, "delivered": 1}
    assert (len(case.lines("warning")), case.lines("error")) == (1, [])


def test_the_end_is_given_up_when_the_retries_are_used_up(loop: ClockLoop, logbook: Logbook) -> None:
    case = Case(loop, logbook, *[AWAY] * 99)

    case.finish()
    loop.advance(3600)

    assert len(case.courier.tries) == 13
    assert case.counts == {"retried": 12, "failed": 1}
    (line,) = [line for line in logbook.lines if line["level"] == "error"]
    assert (line["prediction"], line["tries"], line["reason"]) == ("a", 13, "it answered 503")
    assert line["receiver"] == "https://example.com"


def test_the_end_is_given_up_after_an_hour(loop: ClockLoop, logbook: Logbook) -> None:
    slow = Outcome("it answered 429", may_retry=True, retry_after_seconds=600)
    case = Case(loop, logbook, *[slow] * 99, retries=100)

    case.finish()
    loop.advance(3 * 3600)

    assert case.task.done()
    assert len(case.courier.tries) == 8


def test_a_refusal_is_not_tried_again(loop: ClockLoop, logbook: Logbook) -> None:
    case = Case(loop, logbook, NO)

    case.finish()
    loop.advance(3600)

    assert (len(case.courier.tries), case.counts) == (1, {"failed": 1})


@pytest.mark.parametrize("outcome", [AWAY, NO])
def test_what_is_not_the_end_is_tried_once(loop: ClockLoop, logbook: Logbook, outcome: Outcome) -> None:
    case = Case(loop, logbook, outcome)

    loop.do(case.prediction.start)
    loop.advance(60)
    case.finish()

    assert [message.event for _, message in case.courier.tries] == ["start", "completed"]
    assert case.counts == {"dropped": 1, "delivered": 1}


def test_a_server_that_shuts_down_tries_again_at_once_and_often(loop: ClockLoop, logbook: Logbook) -> None:
    case = Case(loop, logbook, *[AWAY] * 99)
    case.finish()
    loop.advance(60)
    before = len(case.courier.tries)

    loop.do(case.hurry.set)
    loop.advance(3)

    assert len(case.courier.tries) >= before + 2


def test_what_a_cancel_cuts_off_is_logged_with_its_id(loop: ClockLoop, logbook: Logbook) -> None:
    case = Case(loop, logbook, *[AWAY] * 99)
    case.finish()

    loop.do(case.task.cancel)

    (line,) = [line for line in logbook.lines if line["level"] == "error"]
    assert (line["prediction"], "shut down" in line["reason"]) == ("a", True)


def test_the_prediction_is_let_go_of_once_its_last_message_is_made(loop: ClockLoop, logbook: Logbook) -> None:
    case = Case(loop, logbook, *[AWAY] * 99)
    loop.do(case.prediction.start)
    loop.do(case.prediction.add_outputs, [b"1"] * 10_000)

    case.finish()

    assert case.sender.size == len(case.prediction.snapshot())


def test_a_fault_of_servekit_is_logged(loop: ClockLoop, logbook: Logbook) -> None:
    case = Case(loop, logbook)
    case.courier.error = RuntimeError("a fault")

    case.finish()

    (line,) = [line for line in logbook.lines if line["level"] == "error"]
    assert "RuntimeError: a fault" in line["traceback"]
    assert case.counts == {"failed": 1}


def test_no_secret_of_a_url_gets_into_the_log(loop: ClockLoop, logbook: Logbook) -> None:
    case = Case(loop, logbook, AWAY, NO)
    case.finish()
    loop.advance(60)

    assert "geheim" not in str(logbook.lines)
