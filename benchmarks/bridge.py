"""The bridge alone: items per second and time to the first item, beside the two usual ways.

    python benchmarks/bridge.py [--loop asyncio] [--rounds 7] [--min-items-per-second N] [--min-ratio N]

A generator in a thread counts; a consumer on an event loop checks that every number arrives. Measured in turns:

    bridge, one by one   async for over async_generator_from_thread
    bridge, batches      ThreadBridge.next_batch, as the worker uses it
    bridge, bounded      one by one, with at most 1,024 items in flight
    one call per item    asyncio.run_coroutine_threadsafe(queue.put(item), loop).result() for every item
    next() in a pool     await loop.run_in_executor(None, next, generator) for every item

Each ends with a line of medians over the rounds; ratios are medians of the rounds' own ratios, so that a slow
moment of the machine counts for both sides. The process is pinned to two cores if the machine has more.
"""

import argparse
import asyncio
import os
import statistics
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator

import uvloop

from servekit.threads import ThreadBridge, async_generator_from_thread

Way = Callable[[int], AsyncIterator[int]]

NAIVE = "one call per item"


def count(number: int) -> Iterator[int]:
    """What the thread produces: as cheap as a generator can be, so that the way across is what counts."""
    yield from range(number)


one_by_one = async_generator_from_thread(count)
bounded = async_generator_from_thread(max_queue_size=1024)(count)


async def batches(number: int) -> AsyncIterator[int]:
    """The batches of a bridge; only the last item of each is looked at, for its size is known."""
    bridge = ThreadBridge(lambda: count(number))
    seen = 0
    while True:
        try:
            batch = await bridge.next_batch()
        except StopAsyncIteration:
            break
        seen += len(batch)
        assert batch[-1] == seen - 1
        yield batch[-1]


async def call_per_item(number: int) -> AsyncIterator[int]:
    """What is written when one does not think of the cost: a round trip through the loop for every item."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[int | None] = asyncio.Queue()

    def produce() -> None:
        for item in count(number):
            asyncio.run_coroutine_threadsafe(queue.put(item), loop).result()
        asyncio.run_coroutine_threadsafe(queue.put(None), loop).result()

    done = loop.run_in_executor(None, produce)
    while (item := await queue.get()) is not None:
        yield item
    await done


async def next_in_pool(number: int) -> AsyncIterator[int]:
    """What web toolkits do: every step of the generator is a job of its own."""
    loop = asyncio.get_running_loop()
    generator = count(number)
    while (item := await loop.run_in_executor(None, next, generator, None)) is not None:
        yield item


WAYS: dict[str, tuple[Way, int]] = {
    "bridge, one by one": (one_by_one, 1_000_000),
    "bridge, batches": (batches, 1_000_000),
    "bridge, bounded": (bounded, 1_000_000),
    NAIVE: (call_per_item, 10_000),
    "next() in a pool": (next_in_pool, 10_000),
}


async def measure(way: Way, number: int) -> tuple[float, float]:
    """Items per second, and seconds to the first item."""
    began = time.perf_counter()
    first = 0.0
    last = -1
    async for item in way(number):
        if not first:
            first = time.perf_counter() - began
        last = item
    rate = number / (time.perf_counter() - began)
    assert last == number - 1, f"the last item was {last}"
    return rate, first


async def measure_all(rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Every way once per round, after one round that does not count."""
    results: dict[str, list[tuple[float, float]]] = {name: [] for name in WAYS}
    for number_of_round in range(rounds + 1):
        for name, (way, number) in WAYS.items():
            result = await measure(way, number)
            if number_of_round:
                results[name].append(result)
    return results


def report(results: dict[str, list[tuple[float, float]]]) -> tuple[float, float]:
    """Print the table; the items per second one by one, and their ratio to the naive way."""
    print(f"{'':22}{'items/s':>12}{'us/item':>10}{'first item, ms':>16}{'x naive':>10}")
    ratios: dict[str, float] = {}
    for name, measured in results.items():
        rate = statistics.median(rate for rate, _ in measured)
        first = statistics.median(first for _, first in measured)
        ratios[name] = statistics.median(
            mine / naive for (mine, _), (naive, _) in zip(measured, results[NAIVE], strict=True)
        )
        print(f"{name:22}{rate:12,.0f}{1e6 / rate:10.2f}{first * 1e3:16.2f}{ratios[name]:10.1f}")
    name = next(iter(results))
    return statistics.median(rate for rate, _ in results[name]), ratios[name]


def main() -> int:
    """Measure, print, and fail if a figure that was asked for is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--loop", choices=["asyncio", "uvloop"], default="uvloop")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--min-items-per-second", type=float, default=1_000_000)
    parser.add_argument("--min-ratio", type=float, default=40)
    options = parser.parse_args()

    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
    new_loop = uvloop.new_event_loop if options.loop == "uvloop" else asyncio.new_event_loop
    print(f"Python {sys.version.split()[0]}, {options.loop}, {options.rounds} rounds, medians")
    with asyncio.Runner(loop_factory=new_loop) as runner:
        rate, ratio = report(runner.run(measure_all(options.rounds)))

    reached = rate >= options.min_items_per_second and ratio >= options.min_ratio
    print(
        f"goal: {options.min_items_per_second:,.0f} items/s one by one and {options.min_ratio:g} times the naive way:",
        "reached" if reached else "MISSED",
    )
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
