import asyncio
import json

import pytest

from servekit.runtime.prediction import EventKind, Prediction, Status


def test_events_are_numbered_from_zero_without_a_gap() -> None:
    prediction = Prediction("a", 1, b"{}", streams=True)
    prediction.start()
    prediction.add_outputs([b"1", b"2"])
    prediction.add_log("stdout", "x\n")
    prediction.finish(Status.SUCCEEDED)

    kinds = [EventKind.START, EventKind.OUTPUT, EventKind.OUTPUT, EventKind.LOG, EventKind.COMPLETED]
    assert list(prediction.kinds) == kinds
    assert len(prediction.data) == len(kinds)


def test_a_snapshot_holds_input_and_output_as_they_were_encoded() -> None:
    prediction = Prediction("a", 1, b'{"n":1.50}')
    prediction.start()
    prediction.finish(Status.SUCCEEDED, output=b'{"x":2.0}', predict_time=0.25)

    raw = prediction.snapshot()
    assert b'"input":{"n":1.50},"output":{"x":2.0}' in raw
    answer = json.loads(raw)
    assert answer["status"] == "succeeded"
    assert answer["metrics"]["predict_time"] == 0.25
    assert answer["created_at"].endswith("Z")


def test_the_first_end_counts() -> None:
    prediction = Prediction("a", 1, b"{}")
    prediction.finish(Status.CANCELED, error="enough")
    prediction.finish(Status.SUCCEEDED, output=b"1")

    assert (prediction.status, prediction.output) == (Status.CANCELED, b"null")
    assert prediction.kinds.count(EventKind.COMPLETED) == 1


@pytest.mark.parametrize(("status", "output"), [(Status.SUCCEEDED, b"[]"), (Status.FAILED, b"null")])
def test_a_stream_without_items_is_an_empty_list_only_when_it_succeeded(status: Status, output: bytes) -> None:
    prediction = Prediction("a", 1, b"{}", streams=True)
    prediction.finish(status)

    assert prediction.output == output


async def test_readers_wake_for_every_event_and_at_the_end() -> None:
    prediction = Prediction("a", 1, b"{}", streams=True)
    seen: list[int] = []

    async def read() -> None:
        while not prediction.is_done:
            await prediction.changed(len(prediction.kinds))
            seen.append(len(prediction.kinds))

    reader = asyncio.create_task(read())
    waiter = asyncio.create_task(prediction.done())
    await asyncio.sleep(0)
    for step in (prediction.start, lambda: prediction.add_outputs([b"1"]), lambda: prediction.finish(Status.SUCCEEDED)):
        step()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    await asyncio.wait_for(asyncio.gather(reader, waiter), 5)

    assert seen == [1, 2, 3]


async def test_a_reader_that_is_cancelled_leaves_nothing_behind() -> None:
    prediction = Prediction("a", 1, b"{}")
    reader = asyncio.create_task(prediction.changed(0))
    await asyncio.sleep(0)
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader

    assert prediction._changed == []


async def test_who_waits_for_many_is_told_of_each_end_in_a_later_turn() -> None:
    told: list[str] = []
    running, over = Prediction("a", 1, b"{}"), Prediction("b", 2, b"{}")
    over.finish(Status.CANCELED)
    running.when_done(lambda: told.append("a"))
    over.when_done(lambda: told.append("b"))

    running.finish(Status.SUCCEEDED)

    assert told == []
    await asyncio.sleep(0)
    assert sorted(told) == ["a", "b"]
