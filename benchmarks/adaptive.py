"""What `concurrency: {min, max}` finds: `python -m benchmarks.adaptive [--quick] [--models waits,batches]`.

Real servers over HTTP with models that need different numbers of slots (`projects/adaptive/predict.py`), and 96
clients that ask again as soon as they are answered:

    computes    one core is busy all the time: 1 slot is as good as any
    waits       something else does 8 at a time: 8 slots
    batches     every further slot brings less: many
    ... 200 ms  the same with a latency target: as many as keep it
    changes     6 at a time at first, then 24: measured after the change

Each model is first measured with fixed numbers of slots; then with 1 to 64 that adapt, once they had time to. The
slots in the table are those in use on average, by Little's law. Latency is the time in the slot, waiting not included.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import uvloop

from benchmarks.load.http import Connection, make_post
from benchmarks.serving import open_connections, serve

CLIENTS = 96
FIXED = (1, 4, 8, 16, 24, 32, 64)
AIM = 0.9


@dataclass(frozen=True)
class Model:
    """A model of the project.

    Attributes:
        predictor: Its class.
        input: What it is asked with; `changed` is what it is asked with after a change.
        target_ms: The latency target.
    """

    predictor: str
    input: dict[str, object]
    changed: dict[str, object] | None = None
    target_ms: int | None = None


MODELS = {
    "computes": Model("Computes", {}),
    "waits": Model("Waits", {}),
    "batches": Model("Batches", {}),
    "batches, 200 ms": Model("Batches", {}, target_ms=200),
    "changes": Model("Changes", {"large": False}, changed={"large": True}),
}


@dataclass(frozen=True)
class Figures:
    """What clients saw.

    Attributes:
        rate: Answers per second.
        slots: In use on average.
        p95_ms: Of the time in the slot.
    """

    rate: float
    slots: float
    p95_ms: float


@dataclass(frozen=True)
class Answered:
    """One answer: when it came, and how long the prediction had its slot."""

    at: float
    seconds: float


@dataclass(frozen=True)
class Row:
    """One line of the table: the best of the fixed numbers, and what adapting found."""

    model: str
    best: int
    fixed: Figures
    found: Figures
    learned_seconds: float | None

    @property
    def ratio(self) -> float:
        """The throughput beside that of the best fixed number."""
        return self.found.rate / self.fixed.rate


def serve_model(model: Model, **limits: object) -> AbstractContextManager[int]:
    """Run a server for a model, with room for all clients in its queue."""
    return serve("adaptive", model.predictor, queue={"max": CLIENTS}, **limits)


async def load(port: int, seconds: float, choose_input: Callable[[float], dict[str, object]]) -> list[Answered]:
    """Have all clients ask for some seconds; `choose_input` is told how many have passed."""
    connections = await open_connections(port, CLIENTS)
    answers: list[Answered] = []
    began = time.perf_counter()

    async def ask(connection: Connection) -> None:
        while (now := time.perf_counter() - began) < seconds:
            answer = await connection.ask(make_post(choose_input(now)))
            body = json.loads(answer.content())
            assert (answer.status, body["status"]) == (200, "succeeded"), body
            answers.append(Answered(time.perf_counter() - began, body["metrics"]["predict_time"]))
        connection.close()

    await asyncio.gather(*map(ask, connections))
    return answers


def summarize(answers: Sequence[Answered], since: float, until: float) -> Figures:
    """Give the figures of the answers between two moments."""
    seconds = sorted(answer.seconds for answer in answers if since <= answer.at < until)
    rate = len(seconds) / (until - since)
    return Figures(rate, rate * sum(seconds) / len(seconds), 1000 * seconds[int(0.95 * len(seconds))])


def measure_fixed(model: Model, slots: int, seconds: float) -> Figures:
    """Measure a model with a fixed number of slots, after half a second that does not count."""
    values = model.changed or model.input
    with serve_model(model, concurrency=slots) as port:
        answers = uvloop.run(load(port, seconds + 0.5, lambda _: values))
    return summarize(answers, 0.5, seconds + 0.5)


def measure_adaptive(model: Model, learn: float, seconds: float) -> tuple[list[Answered], Figures]:
    """Measure a model with slots that adapt; all answers, with times from the change on, and the figures at the end."""
    change = learn if model.changed is not None else 0.0
    target = None if model.target_ms is None else f"{model.target_ms}ms"

    def choose_input(passed: float) -> dict[str, object]:
        return model.input if model.changed is None or passed < change else model.changed

    with serve_model(model, concurrency={"min": 1, "max": 64}, target_latency=target) as port:
        answers = uvloop.run(load(port, change + learn + seconds, choose_input))
    late = [Answered(answer.at - change, answer.seconds) for answer in answers if answer.at >= change]
    return late, summarize(late, learn, learn + seconds)


def measure(name: str, model: Model, learn: float, seconds: float) -> Row:
    """Measure one model both ways."""
    fixed: dict[int, Figures] = {}
    for slots in FIXED:
        fixed[slots] = measure_fixed(model, slots, seconds / 3)
        print(f"  {name}, {slots} slots: {fixed[slots].rate:.0f}/s, p95 {fixed[slots].p95_ms:.0f} ms", file=sys.stderr)
    allowed = [slots for slots in FIXED if model.target_ms is None or fixed[slots].p95_ms <= model.target_ms]
    best = max(allowed, key=lambda slots: fixed[slots].rate)
    answers, found = measure_adaptive(model, learn, seconds)
    # Once more, so that both were measured in the same minute: a machine has not always as much time for us.
    beside = measure_fixed(model, best, seconds)
    return Row(name, best, beside, found, find_learned(answers, AIM * beside.rate, learn))


def find_learned(answers: Sequence[Answered], rate: float, learn: float) -> float | None:
    """Give the second from which on the rate was good enough for two seconds."""
    halves = (half / 2 for half in range(int(2 * learn)))
    return next((at for at in halves if sum(at <= each.at < at + 2 for each in answers) >= 2 * rate), None)


def render(rows: Sequence[Row]) -> str:
    """Write the table."""
    heads = ("best fixed", "found", "answers/s fixed", "adaptive", "ratio", "p95 ms fixed", "adaptive", "90 % after")
    lines = [f"| model | {' | '.join(heads)} |", "| --- " * (len(heads) + 1) + "|"]
    for row in rows:
        learned = "not yet" if row.learned_seconds is None else f"{row.learned_seconds:.1f} s"
        lines.append(
            f"| {row.model} | {row.best} | {row.found.slots:.1f} | {row.fixed.rate:.0f} | {row.found.rate:.0f} "
            f"| {row.ratio:.2f} | {row.fixed.p95_ms:.0f} | {row.found.p95_ms:.0f} | {learned} |"
        )
    return "\n".join(lines)


def main() -> int:
    """Measure, print, and fail if a model gets less than the aim."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a third of the time: for a look")
    parser.add_argument("--models", default=",".join(MODELS), help="names, by commas; cut short if you like")
    options = parser.parse_args()

    scale = 1 / 3 if options.quick else 1.0
    wanted = tuple(name.strip() for name in options.models.split(","))
    rows = [measure(name, model, 30 * scale, 15 * scale) for name, model in MODELS.items() if name.startswith(wanted)]
    print(render(rows))
    is_reached = all(row.ratio >= AIM for row in rows)
    print(f"\naim: {AIM:.0%} of the best fixed number within the target:", "reached" if is_reached else "MISSED")
    return 0 if is_reached else 1


if __name__ == "__main__":
    sys.exit(main())
