"""What more workers bring on more cores: `python -m benchmarks.workers [--rounds N] [--seconds S]`.

A sync predictor that computes for 5 ms (`projects/cores`), 8 connections that ask again as soon as they are answered,
and one worker or one for each core. The two take turns; the table has the medians. The clients run on the same cores,
so that the ratio is a lower bound.
"""

import argparse
import asyncio
import os
import statistics
import sys
import time

import uvloop

from benchmarks.load.http import Connection, make_post
from benchmarks.serving import open_connections, serve

CLIENTS = 8
AIM = 0.9
WARM_SECONDS = 0.5


async def load(port: int, seconds: float) -> float:
    """Have all clients ask; give the answers per second, without those of the first half second."""
    connections = await open_connections(port, CLIENTS)
    request = make_post({})
    since = time.perf_counter() + WARM_SECONDS
    counted = 0

    async def ask(connection: Connection) -> None:
        nonlocal counted
        while (now := time.perf_counter()) < since + seconds:
            answer = await connection.ask(request)
            assert answer.status == 200, answer
            counted += since <= now
        connection.close()

    await asyncio.gather(*map(ask, connections))
    return counted / (time.perf_counter() - since)


def measure(workers: int, seconds: float) -> float:
    """Give the answers per second of so many workers."""
    with serve("cores", "predict", workers=workers) as port:
        return uvloop.run(load(port, seconds))


def main() -> int:
    """Measure, print, and fail if further workers bring less than the aim."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured (5)")
    parser.add_argument("--seconds", type=float, default=4.0, help="for how long, each time (4)")
    options = parser.parse_args()

    cores = len(os.sched_getaffinity(0))
    if cores == 1:
        print("one core: there is nothing to compare")
        return 0
    rates: dict[int, list[float]] = {1: [], cores: []}
    for _ in range(options.rounds):
        for workers, found in rates.items():
            found.append(measure(workers, options.seconds))
            print(f"  {workers} workers: {found[-1]:.0f}/s", file=sys.stderr)
    one, all_cores = (statistics.median(found) for found in rates.values())
    print("| workers | answers/s | ratio |\n| ---: | ---: | ---: |")
    print(f"| 1 | {one:.1f} | 1 |\n| {cores} | {all_cores:.1f} | {all_cores / one:.2f} |")
    is_reached = all_cores / one >= AIM * cores
    print(f"\naim: {AIM * cores:.1f} times as many with {cores} workers:", "reached" if is_reached else "MISSED")
    return 0 if is_reached else 1


if __name__ == "__main__":
    sys.exit(main())
