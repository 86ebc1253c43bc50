"""What was set out to be reached, and whether it was."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from benchmarks.tables import REFERENCE, Measurement, find_median, format_figure

__all__ = ["TARGETS", "Verdict", "judge", "render_headroom", "render_verdicts"]

_PROCESS = "servekit_process"
_THREAD = "servekit_thread"


@dataclass(frozen=True)
class Target:
    """A bound on one figure.

    Attributes:
        title: What a reader knows it by.
        bound: In the figure's unit, or in multiples of Cog's figure.
        kind: Whether the figure must be at least or at most the bound, or at least a multiple of Cog's.
    """

    title: str
    system: str
    scenario: str
    figure: str
    kind: Literal["at least", "at most", "times cog"]
    bound: float


def _times(title: str, scenario: str, bound: float, system: str = _PROCESS) -> Target:
    return Target(title, system, scenario, "rate", "times cog", bound)


def _at_most(title: str, scenario: str, figure: str, bound: float) -> Target:
    return Target(title, _PROCESS, scenario, figure, "at most", bound)


TARGETS = (
    _times("async echo, 16 connections", "echo_c16", 3),
    _times("async echo, 1 connection", "echo_c1", 2),
    _times("sync echo, 1 connection", "echo_sync_c1", 1.5),
    _at_most("sync echo, 1 connection: refused", "echo_sync_c1", "refused", 0),
    _times("1 stream, sync", "stream_c1", 4),
    _times("16 streams, sync", "stream_c16", 4),
    _times("1 stream, async", "stream_async_c1", 4),
    _times("16 streams, async", "stream_async_c16", 4),
    _at_most("1 stream, sync: first token, ms", "stream_c1", "first_p50_ms", 2),
    _at_most("1 stream, async: first token, ms", "stream_async_c1", "first_p50_ms", 2),
    _at_most("1 stream, sync, reused at once: first token, ms", "stream_c1_reused", "first_p50_ms", 2),
    _at_most("1 stream, async, reused at once: first token, ms", "stream_async_c1_reused", "first_p50_ms", 2),
    _at_most("32 paced streams, sync: first token, ms", "paced_c32", "first_p50_ms", 5),
    _at_most("32 paced streams, sync: late at p99, ms", "paced_c32", "late_p99_ms", 6),
    _at_most("32 paced streams, async: first token, ms", "paced_async_c32", "first_p50_ms", 5),
    _at_most("32 paced streams, async: late at p99, ms", "paced_async_c32", "late_p99_ms", 6),
    _times("1 MB in and out, 1 connection", "megabyte_c1", 2.5),
    _times("1 MB in and out, 8 connections", "megabyte_c8", 2.5),
    Target("256 connections on 8 slots, answers/s", _PROCESS, "overload", "rate", "at least", 152),
    _at_most("256 connections on 8 slots: wrong answers", "overload", "wrong", 0),
    _at_most("256 connections on 8 slots: errors", "overload", "errors", 0),
    _at_most("256 connections on 8 slots: refusals without Retry-After", "overload", "unguided", 0),
    _at_most("256 connections on 8 slots: refused at p99, ms", "overload", "refused_p99_ms", 20),
    _times("isolation thread: async echo, 16 connections", "echo_c16", 4.5, _THREAD),
    _times("isolation thread: async echo, 1 connection", "echo_c1", 4.5, _THREAD),
    _at_most("cold start, seconds", "start", "ready_seconds", 0.6),
    _at_most("memory (PSS), MB", "start", "pss_mb", 100),
    _at_most("slow reader: events lost", "slow_reader", "lost", 0),
    Target("slow reader: tokens left to make when it reads on", _PROCESS, "slow_reader", "made_after", "at least", 1),
)


@dataclass(frozen=True)
class Verdict:
    """A target with what was measured; `reached` is None where nothing was."""

    target: Target
    value: float | None
    reached: bool | None


def judge(measurements: Sequence[Measurement]) -> list[Verdict]:
    """Compare every target with the medians."""
    return [_judge_one(target, measurements) for target in TARGETS]


def _judge_one(target: Target, measurements: Sequence[Measurement]) -> Verdict:
    value = find_median(measurements, target.system, target.scenario, target.figure)
    if value is not None and target.kind == "times cog":
        reference = find_median(measurements, REFERENCE, target.scenario, target.figure)
        value = value / reference if reference else None
    if value is None:
        return Verdict(target, None, None)
    return Verdict(target, value, value <= target.bound if target.kind == "at most" else value >= target.bound)


def render_verdicts(verdicts: Sequence[Verdict]) -> str:
    """Write the targets as a table."""
    words = {True: "reached", False: "**missed**"}
    lines = ["| target | wanted | measured | |", "| --- | --- | --- | --- |"]
    for verdict in verdicts:
        if verdict.reached is None:
            continue
        target = verdict.target
        wanted = f"{target.kind} {format_figure(target.bound)}"
        if target.kind == "times cog":
            wanted = f"{format_figure(target.bound)} times Cog"
        lines.append(f"| {target.title} | {wanted} | {format_figure(verdict.value)} | {words[verdict.reached]} |")
    left = [verdict.target.title for verdict in verdicts if verdict.reached is None]
    note = f"\n\nNot measured: {', '.join(left)}." if left else ""
    return "### Targets\n\n" + "\n".join(lines) + note


def render_headroom(measurements: Sequence[Measurement]) -> str:
    """Show that the load is not the limit: the same load gets more from the bare servers."""
    lines: list[str] = []
    for scenario in dict.fromkeys(target.scenario for target in TARGETS if target.kind == "times cog"):
        bare = [find_median(measurements, system, scenario, "rate") for system in ("raw_uvicorn", "raw_worker")]
        ours = [find_median(measurements, system, scenario, "rate") for system in (_PROCESS, _THREAD)]
        most, claimed = max(filter(None, bare), default=None), max(filter(None, ours), default=None)
        if most and claimed:
            times = most / claimed
            lines.append(f"| {scenario} | {format_figure(claimed)} | {format_figure(most)} | {times:.2f} |")
    if not lines:
        return ""
    head = "| scenario | servekit, the faster | bare server, the faster | ratio |\n| --- | --- | --- | --- |\n"
    return "### What the same load gets from a bare server\n\n" + head + "\n".join(lines)
