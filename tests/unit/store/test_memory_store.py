"""Predictions in memory and the limits of the history."""

import asyncio
import itertools

from servekit.runtime.prediction import Prediction, Status
from servekit.spec import HistorySpec
from servekit.store import MemoryStore

keys = itertools.count(1)


def make(name: str) -> Prediction:
    return Prediction(name, next(keys), b"{}")


def finish(store: MemoryStore, prediction: Prediction, output: bytes = b"1") -> None:
    prediction.finish(Status.SUCCEEDED, output=output)
    store.settle(prediction)


def fill(store: MemoryStore, count: int) -> list[Prediction]:
    predictions = [make(f"p{number}") for number in range(count)]
    for each in predictions:
        store.put(each)
        finish(store, each)
    return predictions


async def gone(store: MemoryStore, name: str) -> None:
    async with asyncio.timeout(5):
        while store.get(name) is not None:
            await asyncio.sleep(0.001)


async def test_a_prediction_is_found_by_its_id() -> None:
    store = MemoryStore(HistorySpec())
    prediction = make("a")

    store.put(prediction)

    assert store.get("a") is prediction
    assert store.get("b") is None


async def test_the_oldest_finished_ones_go_when_there_are_too_many() -> None:
    store = MemoryStore(HistorySpec(max=3))

    predictions = fill(store, 5)

    assert [store.get(each.id) for each in predictions] == [None, None, *predictions[2:]]


async def test_those_that_run_do_not_count_as_history() -> None:
    store = MemoryStore(HistorySpec(max=1))
    running = [make(f"r{number}") for number in range(5)]
    for each in running:
        store.put(each)

    fill(store, 3)

    assert [store.get(each.id) for each in running] == running
    assert len(store) == 6


async def test_large_ones_push_out_older_ones() -> None:
    store = MemoryStore(HistorySpec(size=100_000))
    small = fill(store, 3)
    large = make("large")
    store.put(large)

    finish(store, large, output=b'"' + b"x" * 95_000 + b'"')

    assert store.get(small[0].id) is None
    assert [store.get("large"), store.get(small[2].id)] == [large, small[2]]


async def test_one_that_is_larger_than_the_whole_history_is_not_kept() -> None:
    store = MemoryStore(HistorySpec(size=10_000))
    large = make("large")
    store.put(large)

    finish(store, large, output=b'"' + b"x" * 20_000 + b'"')

    assert store.get("large") is None
    assert len(store) == 0


async def test_without_a_history_nothing_is_kept_after_its_end() -> None:
    store = MemoryStore(HistorySpec(max=0))

    fill(store, 2)

    assert len(store) == 0


async def test_old_ones_go_by_themselves() -> None:
    store = MemoryStore(HistorySpec(ttl=0.01))

    fill(store, 1)

    await gone(store, "p0")
    assert len(store) == 0


async def test_those_that_are_not_old_enough_stay_when_the_time_of_others_is_up() -> None:
    now = 0.0
    store = MemoryStore(HistorySpec(ttl=0.01), clock=lambda: now)
    old, young = make("old"), make("young")
    for each, completed_at in ((old, -1.0), (young, 1000.0)):
        store.put(each)
        each.finish(Status.SUCCEEDED)
        each.completed_at = completed_at
        store.settle(each)

    await gone(store, "old")
    assert store.get("young") is young
    store.close()


async def test_what_is_discarded_leaves_no_trace_and_no_size() -> None:
    store = MemoryStore(HistorySpec(max=1))
    refused = make("a")
    store.put(refused)
    finish(store, refused)

    store.discard(refused)
    assert len(store) == 0
    again = make("a")
    store.put(again)
    finish(store, again)

    assert store.get("a") is again


async def test_a_prediction_that_was_never_kept_is_not_settled() -> None:
    store = MemoryStore(HistorySpec(max=1))
    (kept,) = fill(store, 1)

    finish(store, make("a"))

    assert store.get(kept.id) is kept


async def test_pages_go_from_the_newest_to_the_oldest_without_a_gap() -> None:
    store = MemoryStore(HistorySpec())
    predictions = fill(store, 5)

    first = store.page(None, 2)
    second = store.page(first.next_cursor, 2)
    third = store.page(second.next_cursor, 2)

    assert [*first.predictions, *second.predictions, *third.predictions] == predictions[::-1]
    assert third.next_cursor is None


async def test_a_page_is_where_it_was_although_newer_ones_came_and_older_ones_went() -> None:
    store = MemoryStore(HistorySpec(max=5))
    predictions = fill(store, 5)
    first = store.page(None, 2)
    newer = make("newer")
    store.put(newer)
    finish(store, newer)

    second = store.page(first.next_cursor, 10)

    assert second.predictions == predictions[2:0:-1]
