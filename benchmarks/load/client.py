"""The load client: a program of its own that takes one load as JSON and prints its result as JSON."""

import asyncio
import json
import re
import statistics
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.load.http import Answer, Connection, ConnectionEndedError, make_get, make_post, read_events
from benchmarks.processes import LOAD_CPUS, pinned_to

__all__ = ["Probe", "RequestLoad", "SlowReader", "StreamLoad", "run_client"]

_REFUSALS = (503, 409, 429)
_REFUSED_WAIT_SECONDS = 0.1
# How long answers that were asked for in time may still take; who waits longer is not finished.
_DRAIN_SECONDS = 5.0
# A refused stream is tried again soon, since a stream of 1,000 tokens takes only some 50 ms.
_REFUSED_STREAM_WAIT_SECONDS = 0.01
# Overload counts from here on, when all clients are connected and the first wave is over.
_RAMP_SECONDS = 0.5


@dataclass(frozen=True)
class RequestLoad:
    """Clients that send the same request again as soon as they have their answer."""

    port: int
    seconds: float
    connections: int
    input: dict[str, Any]
    output: Any
    waits_when_refused: bool


@dataclass(frozen=True)
class StreamLoad:
    """Clients that each read one stream after the other, on fresh connections or on their own one."""

    port: int
    seconds: float
    streams: int
    input: dict[str, Any]
    reuses_connection: bool
    is_stamped: bool


@dataclass(frozen=True)
class SlowReader:
    """A client that reads nothing for a while in the middle of a long stream of stamped tokens."""

    port: int
    input: dict[str, Any]
    pause_seconds: float


@dataclass(frozen=True)
class Probe:
    """A client that asks a small question every few milliseconds, beside a request load."""

    port: int
    seconds: float
    path: str
    load: RequestLoad


Load = RequestLoad | StreamLoad | SlowReader | Probe
_KINDS: dict[str, type[Load]] = {kind.__name__: kind for kind in (RequestLoad, StreamLoad, SlowReader, Probe)}


def run_client(load: Load) -> dict[str, Any]:
    """Run a load in a process of its own on the load's CPU and give its result."""
    seconds = load.pause_seconds + 60 if isinstance(load, SlowReader) else load.seconds
    with pinned_to(LOAD_CPUS):
        finished = subprocess.run(
            [sys.executable, "-m", "benchmarks.load.client"],
            input=json.dumps({"kind": type(load).__name__, **asdict(load)}),
            cwd=Path(__file__).parents[2],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
            timeout=seconds + 60,
        )
    result: dict[str, Any] = json.loads(finished.stdout)
    return result


async def _run(load: Load) -> dict[str, Any]:
    match load:
        case RequestLoad():
            return await _run_requests(load)
        case StreamLoad():
            return await _run_streams(load)
        case SlowReader():
            return await _run_slow_reader(load)
        case Probe():
            return await _run_probe(load)


async def _run_requests(load: RequestLoad) -> dict[str, Any]:
    statuses: Counter[int] = Counter()
    latencies: list[float] = []
    refused_latencies: list[float] = []
    wrong = errors = unguided = 0
    request = make_post(load.input)
    ramp = _RAMP_SECONDS if load.waits_when_refused else 0.0
    start = time.monotonic() + ramp
    end = start + load.seconds

    async def run_one() -> None:
        nonlocal wrong, errors, unguided
        connection: Connection | None = None
        while (sent := time.monotonic()) < end:
            try:
                async with asyncio.timeout(end + _DRAIN_SECONDS - sent):
                    connection = connection or await Connection.open(load.port)
                    answer = await connection.ask(request)
            except (OSError, ConnectionEndedError):  # TimeoutError is an OSError
                errors += 1
                connection = None
                await asyncio.sleep(_REFUSED_WAIT_SECONDS)
                continue
            now = time.monotonic()
            if answer.status == 200 and json.loads(answer.content()).get("output") != load.output:
                wrong += 1
            elif answer.status != 200:
                statuses[answer.status] += 1
                if start <= now:
                    refused_latencies.append(now - sent)
                unguided += answer.retry_after_seconds is None
            elif start <= now < end:
                statuses[200] += 1
                latencies.append(now - sent)
            if answer.status in _REFUSALS and load.waits_when_refused:
                await asyncio.sleep(min(answer.retry_after_seconds or _REFUSED_WAIT_SECONDS, end - now))

    await asyncio.gather(*(run_one() for _ in range(load.connections)))
    refused = sum(statuses[status] for status in _REFUSALS)
    return {
        "seconds": load.seconds,
        "ok": statuses[200],
        "refused": refused,
        "wrong": wrong + statuses.total() - statuses[200] - refused,
        "errors": errors,
        "unguided": unguided,
        **_summarise("", latencies),
        **_summarise("refused_", refused_latencies),
    }


async def _run_streams(load: StreamLoad) -> dict[str, Any]:
    watches = "stamps" if load.is_stamped else "output"
    request = make_post(load.input, accept="text/event-stream")
    expected = list(range(load.input["count"]))
    first_outputs: list[float] = []
    lateness: list[float] = []
    ok = refused = wrong = errors = unfinished = 0
    start = last_end = time.monotonic()

    async def run_one() -> None:
        nonlocal ok, refused, wrong, errors, unfinished, last_end
        connection: Connection | None = None
        while (sent := time.monotonic()) < start + load.seconds:
            try:
                async with asyncio.timeout(start + load.seconds + _DRAIN_SECONDS - sent):
                    connection = connection or await Connection.open(load.port, watches)
                    answer = await connection.ask(request)
            except TimeoutError:
                unfinished += 1
                return
            except (OSError, ConnectionEndedError):
                errors += 1
                connection = None
                await asyncio.sleep(_REFUSED_WAIT_SECONDS)
                continue
            last_end = time.monotonic()
            if answer.status in _REFUSALS:
                refused += 1
                await asyncio.sleep(_REFUSED_STREAM_WAIT_SECONDS)
            elif answer.status != 200 or answer.first_output is None or read_events(answer) != expected:
                wrong += 1
            else:
                ok += 1
                first_outputs.append(answer.first_output - sent)
                lateness.extend(answer.lateness)
            if not load.reuses_connection:
                connection.close()
                connection = None

    await asyncio.gather(*(run_one() for _ in range(load.streams)))
    return {
        "seconds": last_end - start,
        "ok": ok,
        "refused": refused,
        "wrong": wrong,
        "errors": errors,
        "unfinished": unfinished,
        "tokens": ok * len(expected),
        **_summarise("first_", first_outputs),
        **_summarise("late_", lateness),
    }


async def _run_slow_reader(load: SlowReader) -> dict[str, Any]:
    # A small buffer, so that the pause is felt by the server soon.
    connection = await Connection.open(load.port, "", receive_buffer=65536)
    assert connection.transport is not None
    started = time.monotonic()
    reading = asyncio.ensure_future(connection.ask(make_post(load.input, accept="text/event-stream")))
    await asyncio.sleep(0.02)
    connection.transport.pause_reading()
    paused = time.monotonic()
    await asyncio.sleep(load.pause_seconds)
    resumed = time.monotonic()
    connection.transport.resume_reading()
    try:
        async with asyncio.timeout(60):
            answer = await reading
    except (OSError, ConnectionEndedError, TimeoutError) as error:
        return {"lost": None, "problem": f"{type(error).__name__}: {error}"}
    return {"seconds": time.monotonic() - started, **_judge_slow_reader(load, answer, paused, resumed)}


def _judge_slow_reader(load: SlowReader, answer: Answer, paused: float, resumed: float) -> dict[str, Any]:
    outputs = answer.content().partition(b"event: completed")[0]
    tokens = re.findall(rb"token (\d+) ([\d.]+);", outputs)
    numbers = [int(number) for number, _ in tokens]
    made = [float(stamp) for _, stamp in tokens]
    count: int = load.input["count"]
    return {
        "lost": count - len(set(numbers)),
        "in_order": numbers == sorted(set(numbers)),
        # How much was made while nobody read: what all buffers on the way hold, or everything.
        "made_while_paused": sum(paused < stamp < resumed for stamp in made),
        "made_after": sum(stamp >= resumed for stamp in made),
        "completed": read_events(answer) is not None,
    }


async def _run_probe(load: Probe) -> dict[str, Any]:
    latencies: list[float] = []
    connection = await Connection.open(load.port)
    under_load = asyncio.ensure_future(_run_requests(load.load))
    request = make_get(load.path)
    await asyncio.sleep(_RAMP_SECONDS)
    failed = 0
    while not under_load.done():
        sent = time.monotonic()
        failed += (await connection.ask(request)).status != 200
        latencies.append(time.monotonic() - sent)
        await asyncio.sleep(0.005)
    result = under_load.result()
    return {**result, "errors": result["errors"] + failed, **_summarise("probe_", latencies)}


def _summarise(prefix: str, seconds: list[float]) -> dict[str, float | None]:
    if not seconds:
        return {f"{prefix}p50_ms": None, f"{prefix}p99_ms": None}
    ordered = sorted(seconds)
    return {
        f"{prefix}p50_ms": statistics.median(ordered) * 1e3,
        f"{prefix}p99_ms": ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))] * 1e3,
    }


def main() -> None:
    """Run the load on standard input."""
    import uvloop  # noqa: PLC0415 the harness imports this module too and needs no loop

    values = json.load(sys.stdin)
    kind = _KINDS[values.pop("kind")]
    if kind is Probe:
        values["load"] = RequestLoad(**values["load"])
    print(json.dumps(uvloop.run(_run(kind(**values)))))


if __name__ == "__main__":
    main()
