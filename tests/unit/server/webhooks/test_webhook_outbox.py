"""The room for what is still to be told."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from logbook import Logbook

from servekit.errors import BusyError
from servekit.runtime.prediction import Prediction, Status
from servekit.runtime.targets import Target
from servekit.server.metrics.tally import Tally
from servekit.server.webhooks.credentials import WebhookCredentials
from servekit.server.webhooks.outbox import Outbox
from servekit.server.webhooks.subscription import Subscription, WebhookEvent
from servekit.spec import WebhookSpec


def to(host: str) -> Subscription:
    return Subscription(Target.of(f"http://{host}/"), frozenset(WebhookEvent))


@asynccontextmanager
async def open_outbox(logbook: Logbook, max_pending: int = 10, max_size: int = 10**9) -> AsyncGenerator[Outbox]:
    spec = WebhookSpec(max_pending=max_pending, max_pending_size=max_size)
    outbox = Outbox(spec, WebhookCredentials(), logbook.log, Tally())
    try:
        yield outbox
    finally:
        await outbox.close()


def follow(outbox: Outbox, host: str, size: int = 2) -> Prediction:
    outbox.check_room(to(host))
    prediction = Prediction("a", 1, b"x" * size)
    outbox.follow(prediction, to(host))
    return prediction


def count_room(outbox: Outbox, host: str, size: int = 2) -> int:
    for number in range(100):
        try:
            follow(outbox, host, size)
        except BusyError:
            return number
    raise AssertionError("there is no limit")


async def test_a_host_gets_no_more_of_the_room_than_is_left_for_others(logbook: Logbook) -> None:
    async with open_outbox(logbook) as outbox:
        assert [count_room(outbox, host) for host in ("10.0.0.1", "10.0.0.2", "10.0.0.3")] == [5, 3, 1]


async def test_what_is_kept_is_limited_in_bytes_as_well(logbook: Logbook) -> None:
    async with open_outbox(logbook, 1000, 100_000) as outbox:
        assert [count_room(outbox, host, 10_000) for host in ("10.0.0.1", "10.0.0.2")] == [5, 3]


async def test_one_prediction_always_finds_room(logbook: Logbook) -> None:
    async with open_outbox(logbook, 1, 1) as outbox:
        assert count_room(outbox, "10.0.0.1", 10**6) == 1


async def test_a_full_room_says_whose_receiver_is_behind_and_when_to_come_back(logbook: Logbook) -> None:
    async with open_outbox(logbook, 1) as outbox:
        follow(outbox, "10.0.0.1")
        with pytest.raises(BusyError, match=r"webhooks for 1 predictions wait to be taken by 10\.0\.0\.1") as caught:
            follow(outbox, "10.0.0.1")

    assert caught.value.retry_after_seconds > 0


async def test_what_a_prediction_gives_out_takes_room(logbook: Logbook) -> None:
    async with open_outbox(logbook, 10, 1000) as outbox:
        prediction = follow(outbox, "10.0.0.1")
        prediction.add_outputs([b"1" * 1000])
        outbox._measured_at = 0  # as if a moment had passed

        with pytest.raises(BusyError):
            outbox.check_room(to("10.0.0.2"))


@pytest.mark.parametrize(("max_pending", "max_size"), [(1, 10**9), (10, 1)])
async def test_what_was_told_takes_no_room(logbook: Logbook, max_pending: int, max_size: int) -> None:
    async with open_outbox(logbook, max_pending, max_size) as outbox:
        prediction = follow(outbox, "10.0.0.1")
        prediction.finish(Status.SUCCEEDED)  # the address is not allowed, so this is over at once
        async with asyncio.timeout(10):
            await outbox.drain(10)
        follow(outbox, "10.0.0.1")


async def test_a_drain_ends_with_its_time(logbook: Logbook) -> None:
    async with open_outbox(logbook) as outbox:
        follow(outbox, "10.0.0.1")
        await outbox.drain(0.01)

        assert [line["predictions"] for line in logbook.lines] == [1]


async def test_what_is_left_at_the_end_is_logged(logbook: Logbook) -> None:
    async with open_outbox(logbook) as outbox:
        follow(outbox, "10.0.0.1")
        await asyncio.sleep(0)

    assert [line["prediction"] for line in logbook.lines if line["level"] == "error"] == ["a"]
