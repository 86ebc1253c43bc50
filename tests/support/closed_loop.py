"""A model under load without a clock: predictions share its speed, and clients ask again at once.

The model is its throughput curve: how much work per second it does with so many predictions at a time. All that run
progress equally fast, so the service time is their number over the throughput.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from servekit.runtime.limit import ConcurrencyLimit

__all__ = ["ClosedLoop", "Curve", "batches", "computes", "thrashes", "waits"]

Curve = Callable[[int], float]
"""Predictions per second by the number that run at a time."""


def computes(seconds: float) -> Curve:
    """One core, or a lock: more at a time only makes each slower."""
    return lambda _: 1 / seconds


def thrashes(seconds: float) -> Curve:
    """One core, and each further prediction disturbs the others."""
    return lambda running: 1 / seconds / (1 + 0.05 * (running - 1))


def waits(seconds: float, knee: int) -> Curve:
    """Something else does the work, for so many at a time."""
    return lambda running: min(running, knee) / seconds


def batches(fixed: float, each: float) -> Curve:
    """A GPU: the step of a batch takes a fixed time, and a little more for each item."""
    return lambda running: running / (fixed + each * running)


@dataclass
class ClosedLoop:
    """One worker, and clients each of whom asks again as soon as it is answered.

    Attributes:
        curve: The model; may become another one between two runs.
        clients: How many there are; likewise.
        spread: How much predictions differ: 0 not at all, 1 as exponential times do.
        limits: The limit at each completion of the latest run.
        service_times: How long each of them took.
    """

    limit: ConcurrencyLimit
    curve: Curve
    clients: int = 200
    spread: float = 0.0
    seed: int = 1
    now: float = 0.0
    limits: list[int] = field(default_factory=list[int])
    service_times: list[float] = field(default_factory=list[float])
    _progress: float = 0.0
    _running: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])

    def __post_init__(self) -> None:
        self._random = Random(self.seed)

    def run(self, completions: int) -> "ClosedLoop":
        """Go on until so many more predictions have ended."""
        self.limits, self.service_times = [], []
        for _ in range(completions):
            self._fill()
            self._complete()
        return self

    @property
    def settled(self) -> float:
        """The limit over the later half of the latest run."""
        late = self.limits[len(self.limits) // 2 :]
        return sum(late) / len(late)

    @property
    def efficiency(self) -> float:
        """The throughput over the later half of the latest run, as a share of what the best fixed limit gives."""
        late = self.limits[len(self.limits) // 2 :]
        return sum(map(self.curve, late)) / len(late) / max(map(self.curve, range(1, 65)))

    def _fill(self) -> None:
        while len(self._running) < min(self.limit.current, self.clients):
            work = 1 - self.spread + self.spread * self._random.expovariate(1.0)
            heapq.heappush(self._running, (self._progress + work, self.now))

    def _complete(self) -> None:
        running = len(self._running)
        end, started = heapq.heappop(self._running)
        self.now += (end - self._progress) * running / self.curve(running)
        self._progress = end
        self.limits.append(self.limit.current)
        self.service_times.append(self.now - started)
        if running == self.limit.current:
            self.limit.record(self.now, self.now - started, running, is_wanted=self.clients > running)
        else:
            self.limit.pause()
