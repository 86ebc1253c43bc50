"""A prediction's events as messages, on a clock that stands still."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from clock_loop import ClockLoop

from servekit.runtime.prediction import Prediction, Status
from servekit.server.webhooks.feed import Feed
from servekit.server.webhooks.message import Message
from servekit.server.webhooks.subscription import WebhookEvent

ALL = frozenset(WebhookEvent)


@pytest.fixture
def loop() -> Iterator[ClockLoop]:
    loop = ClockLoop()
    yield loop
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.settle()
    loop.close()
    assert not loop.faults


class Reader:
    """Takes messages as they come, or only when it is let."""

    def __init__(self, loop: ClockLoop, *events: str, interval: float = 0.5) -> None:
        self.loop = loop
        self.prediction = Prediction("a", 1, b"{}", streams=True)
        self.messages: list[Message] = []
        self.may_take = asyncio.Event()
        self.may_take.set()
        wanted = frozenset(map(WebhookEvent, events)) or ALL
        feed = loop.do(lambda: Feed(self.prediction, wanted, interval))
        self.task = loop.create_task(self._read(feed))
        loop.settle()

    async def _read(self, feed: Feed) -> None:
        while await feed.wait():
            await self.may_take.wait()
            self.messages.append(feed.take())
            if self.messages[-1].is_last:
                return

    def do(self, step: Any, *arguments: Any) -> None:
        self.loop.do(step, *arguments)

    def start(self) -> None:
        self.do(self.prediction.start)

    def output(self, *items: bytes) -> None:
        self.do(self.prediction.add_outputs, list(items))

    def log(self) -> None:
        self.do(self.prediction.add_log, "stdout", "x\n")

    def finish(self) -> None:
        self.do(self.prediction.finish, Status.SUCCEEDED)

    @property
    def told(self) -> list[str]:
        return [message.event.value for message in self.messages]

    @property
    def outputs(self) -> list[Any]:
        return [json.loads(message.body)["output"] for message in self.messages]


def test_messages_are_numbered_from_one_and_each_has_an_id_of_its_own(loop: ClockLoop) -> None:
    reader = Reader(loop)

    reader.start()
    reader.finish()

    assert [(message.event, message.sequence) for message in reader.messages] == [("start", 1), ("completed", 2)]
    assert len({message.id for message in reader.messages}) == 2


def test_what_happens_within_the_interval_is_told_together_after_it(loop: ClockLoop) -> None:
    reader = Reader(loop)

    reader.start()
    for number in range(100):
        reader.output(b"%d" % number)
    assert reader.told == ["start"]
    loop.advance(0.5)

    assert reader.told == ["start", "output"]
    assert reader.outputs[1] == list(range(100))


def test_an_update_after_a_quiet_time_is_told_at_once(loop: ClockLoop) -> None:
    reader = Reader(loop)
    reader.start()
    loop.advance(10)

    reader.output(b"1")

    assert reader.told == ["start", "output"]


def test_the_first_news_do_not_wait_for_a_start_that_nobody_asked_for(loop: ClockLoop) -> None:
    reader = Reader(loop, "logs")

    reader.start()
    reader.log()

    assert reader.told == ["logs"]


def test_large_messages_have_longer_pauses_between_them(loop: ClockLoop) -> None:
    reader = Reader(loop, "output")
    reader.start()
    loop.advance(1)
    reader.output(b"1" * 20_000_000)
    reader.output(b"2")

    loop.advance(1.9)
    assert len(reader.messages) == 1
    loop.advance(0.2)
    assert len(reader.messages) == 2


def test_the_end_does_not_wait_for_the_interval_and_holds_what_came_before(loop: ClockLoop) -> None:
    reader = Reader(loop)
    reader.start()
    reader.output(b"1")

    reader.finish()

    assert reader.told == ["start", "completed"]
    assert reader.outputs[-1] == [1]
    assert reader.task.done()


def test_while_one_message_is_under_way_only_the_newest_state_waits(loop: ClockLoop) -> None:
    reader = Reader(loop, interval=0)
    reader.may_take.clear()
    reader.start()
    for number in range(50):
        reader.output(b"%d" % number)
        reader.log()

    loop.do(reader.may_take.set)

    assert reader.told == ["start"]
    assert reader.outputs == [list(range(50))]


def test_an_end_that_comes_while_an_update_waits_takes_its_place(loop: ClockLoop) -> None:
    reader = Reader(loop)
    reader.may_take.clear()
    reader.start()
    reader.finish()

    loop.do(reader.may_take.set)

    assert reader.told == ["completed"]


@pytest.mark.parametrize(
    ("events", "told"),
    [
        (["completed"], ["completed"]),
        (["start"], ["start"]),
        (["output"], ["output", "output"]),
        (["logs"], ["logs"]),
        (["logs", "completed"], ["logs", "completed"]),
        (["output", "logs"], ["output", "logs", "output"]),
    ],
)
def test_a_receiver_is_told_what_it_asked_for_and_nothing_else(
    loop: ClockLoop, events: list[str], told: list[str]
) -> None:
    reader = Reader(loop, *events)

    reader.start()
    loop.advance(1)
    reader.output(b"1")
    loop.advance(1)
    reader.log()
    loop.advance(1)
    reader.output(b"2")
    reader.finish()

    assert reader.told == told
    assert reader.task.done()


def test_the_last_news_are_told_to_one_who_did_not_ask_for_the_end(loop: ClockLoop) -> None:
    reader = Reader(loop, "output")
    reader.start()
    loop.advance(1)
    reader.output(b"1")
    reader.output(b"2")

    reader.finish()

    assert reader.outputs == [[1], [1, 2]]
    assert reader.messages[-1].is_last


def test_a_prediction_that_never_ran_is_told_as_ended(loop: ClockLoop) -> None:
    reader = Reader(loop)

    reader.do(reader.prediction.finish, Status.FAILED)

    assert reader.told == ["completed"]


def test_events_that_are_not_asked_for_are_looked_at_once_in_an_interval(loop: ClockLoop) -> None:
    reader = Reader(loop, "logs")
    looks: list[int] = []
    find = Prediction.changed

    async def count(prediction: Prediction, seen: int) -> None:
        looks.append(seen)
        await find(prediction, seen)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Prediction, "changed", count)
        reader.start()
        for _ in range(100):
            reader.output(b"1")
            loop.advance(0.01)

    assert len(looks) <= 3
