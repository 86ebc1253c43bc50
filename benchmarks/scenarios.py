"""What is measured: each scenario names its project and turns a running server into figures."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.load.client import Probe, RequestLoad, SlowReader, StreamLoad, run_client
from benchmarks.load.requests import Requests, send_requests
from benchmarks.processes import Server, read_busy_seconds

__all__ = ["SCENARIOS", "Scenario", "ScenarioFailedError"]

Figures = dict[str, Any]

# Measured for less than this, CPU figures are too coarse: the kernel counts them in steps of 10 ms.
_WARM_UP_SECONDS = 1.0
_TOKENS = {"count": 1000}
_PACED = {"count": 200, "interval_seconds": 0.005}
_LONG = {"count": 200_000, "interval_seconds": 0.0}
_TEXT = "What is echoed stays short, so that the server is measured and not the copying. "
_OVERLOAD_CLIENTS = 256
_MEGABYTE = (_TEXT * (1_000_000 // len(_TEXT) + 1))[:1_000_000]


class ScenarioFailedError(Exception):
    """A server gave wrong answers or errors, so that its other figures mean nothing.

    Attributes:
        figures: How many of either.
    """

    def __init__(self, figures: Figures) -> None:
        self.figures = {name: figures[name] for name in ("wrong", "errors")}
        super().__init__(f"{figures['ok']} right answers, {figures['wrong']} wrong ones and {figures['errors']} errors")


@dataclass(frozen=True)
class Scenario:
    """One line of the tables.

    Attributes:
        name: As `--scenarios` has it.
        project: The folder below `projects/`.
        measure: Takes the server and the seconds to measure for.
        once: Whether more rounds would only cost time.
    """

    name: str
    project: str
    measure: Callable[[Server, float], Figures]
    once: bool = False


def _with_cpu(server: Server, run: Callable[[], Figures], count: Callable[[Figures], int], unit: str) -> Figures:
    started, busy, before = time.perf_counter(), read_busy_seconds(), server.cpu_seconds()
    figures = run()
    used = server.cpu_seconds() - before
    elapsed, busy = time.perf_counter() - started, read_busy_seconds() - busy
    server.check()
    # Streams that wait in a long queue are reported as unfinished; where nothing else happened, that is the figure.
    if figures["wrong"] or figures["errors"] or not figures["ok"] + figures.get("unfinished", 0):
        raise ScenarioFailedError(figures)
    # What other programs took of the server's CPU: with much of it, only CPU per answer means something.
    figures["others_percent"] = max(0.0, busy - used) / elapsed * 100
    done = count(figures)
    figures[f"cpu_us_per_{unit}"] = used * 1e6 / done if done else None
    return figures


def _requests(name: str, project: str, connections: int, text: str) -> Scenario:
    load = Requests({"text": text}, text, connections)

    def measure(server: Server, seconds: float) -> Figures:
        send_requests(load, server.port, _WARM_UP_SECONDS)
        run = lambda: send_requests(load, server.port, seconds)  # noqa: E731 short
        figures = _with_cpu(server, run, lambda figures: figures["ok"], "answer")
        return {**figures, "rate": figures["ok"] / figures["seconds"]}

    return Scenario(name, project, measure)


def _streams(
    name: str, project: str, streams: int, *, values: Figures = _TOKENS, reused: bool = False, stamped: bool = False
) -> Scenario:
    def measure(server: Server, seconds: float) -> Figures:
        def run(limit: float, values: Figures = values) -> Figures:
            return run_client(StreamLoad(server.port, limit, streams, values, reused, stamped))

        run(_WARM_UP_SECONDS / 2, {**values, "count": values["count"] // 10})
        # A paced stream takes a second; one that would start at the very end is not wanted.
        limit = seconds - 0.5 if stamped else seconds
        figures = _with_cpu(server, lambda: run(limit), lambda figures: figures["tokens"], "token")
        return {**figures, "rate": figures["tokens"] / figures["seconds"]}

    return Scenario(name, project, measure)


def _overload(server: Server, seconds: float) -> Figures:
    load = RequestLoad(
        server.port, max(seconds, 2.0), _OVERLOAD_CLIENTS, {"seconds": 0.05}, 0.05, waits_when_refused=True
    )
    figures = _with_cpu(server, lambda: run_client(load), lambda figures: figures["ok"], "answer")
    return {**figures, "rate": figures["ok"] / figures["seconds"]}


def _measure_start(server: Server, _seconds: float) -> Figures:
    load = Requests({"text": _TEXT}, _TEXT, 1)
    _with_cpu(
        server, lambda: send_requests(load, server.port, _WARM_UP_SECONDS), lambda figures: figures["ok"], "answer"
    )
    return {"ready_seconds": server.ready_seconds, "pss_mb": server.pss_megabytes()}


def _slow_reader(server: Server, _seconds: float) -> Figures:
    figures = run_client(SlowReader(server.port, _LONG, pause_seconds=4.0))
    server.check()
    return figures


def _liveness(server: Server, seconds: float) -> Figures:
    clients = RequestLoad(server.port, seconds, 8, {"seconds": 0.005}, 0.005, waits_when_refused=True)
    load = Probe(server.port, seconds, server.system.live_path, clients)
    figures = _with_cpu(server, lambda: run_client(load), lambda figures: figures["ok"], "answer")
    return {**figures, "rate": figures["ok"] / figures["seconds"]}


_ALL = (
    Scenario("start", "echo", _measure_start),
    _requests("echo_c1", "echo", 1, _TEXT),
    _requests("echo_c16", "echo", 16, _TEXT),
    _requests("megabyte_c1", "echo", 1, _MEGABYTE),
    _requests("megabyte_c8", "echo", 8, _MEGABYTE),
    _requests("echo_sync_c1", "echo_sync", 1, _TEXT),
    _requests("echo_sync_c16", "echo_sync", 16, _TEXT),
    _streams("stream_c1", "stream", 1),
    _streams("stream_c16", "stream", 16),
    _streams("stream_c1_reused", "stream", 1, reused=True),
    _streams("stream_async_c1", "stream_async", 1),
    _streams("stream_async_c16", "stream_async", 16),
    _streams("stream_async_c1_reused", "stream_async", 1, reused=True),
    _streams("paced_c32", "paced", 32, values=_PACED, stamped=True),
    _streams("paced_async_c32", "paced_async", 32, values=_PACED, stamped=True),
    Scenario("overload", "overload", _overload),
    Scenario("live_while_busy", "busy", _liveness),
    Scenario("slow_reader", "paced", _slow_reader, once=True),
)
SCENARIOS = {scenario.name: scenario for scenario in _ALL}
