"""One soak: warm-up, census, load with chaos, census, and what is to be said about it."""

import asyncio
import itertools
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from soak.chaos import Chaos
from soak.soaked import DEADLINE_SECONDS, Census, SoakedServer, run_server
from soak.visitors import FINAL, Visit, Visitor

__all__ = ["KINDS", "Report", "soak"]

KINDS = ("SyncValue", "SyncStream", "AsyncValue", "AsyncStream")

_MARGIN_SECONDS = 2.0
_KILL_PERIOD_SECONDS = 1.0
_MEMORY_TOLERANCE = 0.1
_ALLOWED_ERRORS = ("worker died", "prediction raised", "setup failed", "importing the predictor failed")


@dataclass
class Report:
    """What came of a soak.

    Attributes:
        kind: Which predictor.
        seed: What the dice were made of.
        faults: What must not have been.
        visits: What each request came to.
        seconds: How long the load took.
        kills: How often each signal was sent to a worker.
        restarts: How many workers became ready in the place of others.
        memory: The server's resident memory before and after, in bytes.
    """

    kind: str
    seed: int
    faults: list[str] = field(default_factory=list[str])
    visits: list[Visit] = field(default_factory=list[Visit])
    seconds: float = 0.0
    kills: Counter[str] = field(default_factory=Counter[str])
    restarts: int = 0
    memory: tuple[int, int] = (0, 0)

    def __str__(self) -> str:
        endings = Counter(visit.ending for visit in self.visits)
        waits = [visit.seconds for visit in self.visits if visit.ending in FINAL]
        slowest = max(waits, default=0.0)
        cuts = statistics.quantiles(waits, n=100) if len(waits) > 1 else [0.0] * 99
        before, after = (size / 1e6 for size in self.memory)
        lines = [
            f"{self.kind}, seed {self.seed}: {len(self.visits)} requests in {self.seconds:.0f} s",
            "  " + _list(endings),
            f"  final answers: p50 {cuts[49]:.3f} s, p99 {cuts[98]:.3f} s, slowest {slowest:.3f} s",
            f"  the slowest ended {slowest - DEADLINE_SECONDS:+.3f} s from the deadline",
            f"  {self.kills.total()} signals to workers: {_list(self.kills)}; {self.restarts} restarts",
            f"  memory: {before:.1f} MB before, {after:.1f} MB after ({after / before - 1:+.1%})" if before else "",
            *(f"  FAULT: {fault}" for fault in self.faults[:50]),
        ]
        return "\n".join(lines)


def soak(kind: str, *, predictions: int, warmup: int, clients: int, seed: int) -> Report:
    """Soak a server with one kind of predictor.

    Args:
        kind: One of `KINDS`.
        predictions: How many requests are made.
        warmup: How many of the same are made before the server is measured the first time.
        clients: How many are there at a time.
        seed: What the dice are made of.
    """
    report = Report(kind, seed)
    with tempfile.TemporaryDirectory() as folder, run_server(Path(folder) / "soak", kind) as soaked:
        load = _Load(soaked, clients, Random(f"{seed} {kind}"))
        warm = asyncio.run(load.run("warm", warmup, Counter()))
        before = soaked.settle()
        starts, started = soaked.starts, time.monotonic()
        report.visits = asyncio.run(load.run("soak", predictions, report.kills))
        report.seconds = time.monotonic() - started
        report.restarts = soaked.starts - starts
        after = soaked.settle()
        report.memory = before.memory_bytes, after.memory_bytes
        report.faults = [
            *_judge_visits(report.visits, predictions),
            *_judge_ledger(warm + report.visits, soaked.ledger),
            *_judge_census(before, after),
            *_judge_ends(soaked),
            *_judge_log(soaked),
        ]
        report.faults += soaked.end()
    return report


class _Load:
    def __init__(self, soaked: SoakedServer, clients: int, dice: Random) -> None:
        self._soaked = soaked
        self._clients = clients
        self._dice = dice

    async def run(self, prefix: str, count: int, kills: "Counter[str]") -> list[Visit]:
        """Make so many visits while workers are killed."""
        chaos = Chaos(self._soaked.process, Random(self._dice.random()), _KILL_PERIOD_SECONDS)
        killing = asyncio.create_task(chaos.run())
        names = (f"{prefix}-{number}" for number in range(count))
        try:
            visits = await asyncio.gather(*(self._visit_on(names) for _ in range(self._clients)))
        finally:
            killing.cancel()
        kills.update(chaos.sent)
        return list(itertools.chain.from_iterable(visits))

    async def _visit_on(self, names: Iterator[str]) -> list[Visit]:
        visitor = Visitor(self._soaked.address, Random(self._dice.random()), DEADLINE_SECONDS + _MARGIN_SECONDS)
        return [await visitor.make(name) for name in names]


def _judge_visits(visits: list[Visit], count: int) -> Iterator[str]:
    if len(visits) != count:
        yield f"{len(visits)} of {count} requests came to an end"
    for visit in visits:
        yield from visit.faults
    served = sum(visit.ending == "succeeded" for visit in visits)
    if served < count // 4:
        yield f"only {served} of {count} succeeded: that is no service"


def _judge_ledger(visits: list[Visit], ledger: list[str]) -> Iterator[str]:
    ran = Counter(ledger)
    yield from (f"{name} ran {count} times" for name, count in ran.items() if count > 1)
    for visit in visits:
        if visit.ending == "succeeded" and not ran[visit.id]:
            yield f"{visit.id} succeeded and never ran"
        if visit.ending == "refused" and ran[visit.id]:
            yield f"{visit.id} was refused and ran"


def _judge_census(before: Census, after: Census) -> Iterator[str]:
    yield from after.differences(before)
    if after.files:
        yield f"files are left: {after.files[:10]}"
    growth = after.memory_bytes / before.memory_bytes - 1
    if growth > _MEMORY_TOLERANCE:
        yield f"the server's memory grew by {growth:.0%}"


def _judge_ends(soaked: SoakedServer) -> Iterator[str]:
    """Each prediction ends once and in time, also those that nobody waits for."""
    ends = Counter(name for name, _, _ in soaked.ends)
    yield from (f"{name} ended {count} times" for name, count in ends.items() if count > 1)
    yield from (f"{name} ran and never ended" for name in sorted(set(soaked.ledger) - ends.keys()))
    for name, status, seconds in soaked.ends:
        if seconds > DEADLINE_SECONDS + _MARGIN_SECONDS:
            yield f"{name} ended as {status} after {seconds} s"


def _judge_log(soaked: SoakedServer) -> Iterator[str]:
    for line in soaked.server.log:
        if line["level"] == "raw" or (line["level"] == "error" and not line["event"].startswith(_ALLOWED_ERRORS)):
            yield f"the server logged {str(line)[:2000]}"


def _list(counts: "Counter[str]") -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.most_common())
