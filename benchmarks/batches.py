"""What batches bring, and cost a lone client: `python -m benchmarks.batches [--rounds N] [--seconds S]`.

A model that costs 5 ms a call plus 0.1 ms an item (`projects/batches`), called for each prediction and in batches of
up to 64. Both servers run at the same time and take turns; the one that is not asked does nothing. The table has
the medians over the rounds: answers per second of 64 connections that ask again as soon as they are answered, and the
latency of a single one.
"""

import argparse
import asyncio
import statistics
import sys
from dataclasses import dataclass, field

from benchmarks.load.requests import Requests, send_requests
from benchmarks.serving import open_connections, serve

CLIENTS = 64
AIM_RATIO = 20.0
AIM_MS = 1.0
KINDS = ("OneByOne", "InBatches")


@dataclass
class Figures:
    """What was measured of one kind, in each round."""

    rates: list[float] = field(default_factory=list[float])
    lone_ms: list[float] = field(default_factory=list[float])

    @property
    def rate(self) -> float:
        """Answers per second of all connections."""
        return statistics.median(self.rates)

    @property
    def lone(self) -> float:
        """The latency of a lone client, in milliseconds."""
        return statistics.median(self.lone_ms)


def measure(port: int, figures: Figures, seconds: float) -> None:
    """Ask a server alone, and then by all connections."""
    alone = send_requests(Requests({"text": "hello"}, "hello", 1), port, seconds)
    together = send_requests(Requests({"text": "hello"}, "hello", CLIENTS), port, seconds)
    figures.lone_ms.append(alone["p50_ms"])
    if together["wrong"] or together["errors"] or together["refused"]:
        sys.exit(f"not all answers were right: {together}")
    figures.rates.append(together["ok"] / together["seconds"])


async def wait_until_ready(port: int) -> None:
    """Wait until a server takes predictions."""
    for connection in await open_connections(port, 1):
        connection.close()


def main() -> int:
    """Measure, print, and fail if batches bring less, or cost more, than the aim."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured (5)")
    parser.add_argument("--seconds", type=float, default=3.0, help="for how long, each time (3)")
    options = parser.parse_args()

    figures = {kind: Figures() for kind in KINDS}
    with serve("batches", KINDS[0]) as first, serve("batches", KINDS[1]) as second:
        ports = dict(zip(KINDS, (first, second), strict=True))
        for port in ports.values():
            asyncio.run(wait_until_ready(port))
        for _ in range(options.rounds):
            for kind, port in ports.items():
                measure(port, figures[kind], options.seconds)

    single, batched = (figures[kind] for kind in KINDS)
    ratio, added = batched.rate / single.rate, batched.lone - single.lone
    print("|  | answers/s, 64 connections | latency of a lone client |\n| --- | --- | --- |")
    for kind, each in figures.items():
        print(f"| {kind} | {each.rate:,.0f} | {each.lone:.2f} ms |")
    print(f"\n{ratio:.1f} times the throughput (aim: {AIM_RATIO:g}); {added:+.2f} ms (aim: at most {AIM_MS:g})")
    return 0 if ratio >= AIM_RATIO and added <= AIM_MS else 1


if __name__ == "__main__":
    sys.exit(main())
