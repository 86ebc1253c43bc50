"""Medians over the rounds, as Markdown tables with ratios to Cog."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Measurement", "find_median", "render_tables"]

REFERENCE = "cog"


@dataclass(frozen=True)
class Measurement:
    """What one system did in one scenario in one round; `error` says why there are no figures."""

    round: int
    system: str
    scenario: str
    figures: dict[str, Any]
    error: str | None = None


@dataclass(frozen=True)
class _Table:
    """Attributes: figures: One is a value, several are written as `a / b`. has_ratio: To Cog, of the first figure."""

    title: str
    figures: tuple[str, ...]
    scenarios: tuple[str, ...]
    has_ratio: bool = False


_ECHOES = ("echo_c1", "echo_c16", "echo_sync_c1", "echo_sync_c16", "megabyte_c1", "megabyte_c8")
_STREAMS = ("stream_c1", "stream_c16", "stream_async_c1", "stream_async_c16")
_REUSED = ("stream_c1_reused", "stream_async_c1_reused")
_PACED = ("paced_c32", "paced_async_c32")
_TABLES = (
    _Table("Answers per second (ratio to Cog)", ("rate",), _ECHOES, has_ratio=True),
    _Table("CPU per answer, microseconds (ratio to Cog)", ("cpu_us_per_answer",), _ECHOES, has_ratio=True),
    _Table("Latency p50 / p99, ms", ("p50_ms", "p99_ms"), _ECHOES),
    _Table("Refused", ("refused",), (*_ECHOES, *_STREAMS)),
    _Table("Tokens per second on fresh connections (ratio to Cog)", ("rate",), _STREAMS, has_ratio=True),
    _Table("CPU per token, microseconds (ratio to Cog)", ("cpu_us_per_token",), _STREAMS, has_ratio=True),
    _Table("First token p50 / p99, ms", ("first_p50_ms", "first_p99_ms"), (*_STREAMS, *_REUSED)),
    _Table("Paced streams: first token p50 / p99, ms", ("first_p50_ms", "first_p99_ms"), _PACED),
    _Table("Paced streams: late p50 / p99, ms", ("late_p50_ms", "late_p99_ms"), _PACED),
    _Table("Paced streams: finished / refused / not finished in time", ("ok", "refused", "unfinished"), _PACED),
    _Table("Overload: answers per second (of 160)", ("rate",), ("overload",), has_ratio=True),
    _Table("Overload: p50 / p99 of answers, ms", ("p50_ms", "p99_ms"), ("overload",)),
    _Table("Overload: p50 / p99 of refusals, ms", ("refused_p50_ms", "refused_p99_ms"), ("overload",)),
    _Table("Overload: answered / refused / refused without Retry-After", ("ok", "refused", "unguided"), ("overload",)),
    _Table("Start: ready, seconds", ("ready_seconds",), ("start",), has_ratio=True),
    _Table("Start: memory (PSS), MB", ("pss_mb",), ("start",), has_ratio=True),
    _Table("Liveness while busy p50 / p99, ms", ("probe_p50_ms", "probe_p99_ms"), ("live_while_busy",)),
    _Table("Slow reader: events lost", ("lost",), ("slow_reader",)),
    _Table("Taken by others on the server's CPU, percent", ("others_percent",), ("echo_c1", "echo_c16", *_STREAMS)),
    _Table("Slow reader: made while it slept / after", ("made_while_paused", "made_after"), ("slow_reader",)),
)


def find_median(measurements: Sequence[Measurement], system: str, scenario: str, figure: str) -> float | None:
    """Give the median over the rounds, or None when there is no figure."""
    values = [
        measurement.figures[figure]
        for measurement in measurements
        if (measurement.system, measurement.scenario) == (system, scenario)
        and measurement.figures.get(figure) is not None
    ]
    return statistics.median(values) if values else None


def render_tables(measurements: Sequence[Measurement]) -> str:
    """Write every table that has a figure, then what failed."""
    parts = [text for table in _TABLES if (text := _render(table, measurements))]
    if failures := _list_failures(measurements):
        parts.append(f"### Failed\n\n{failures}")
    return "\n\n".join(parts)


def _list_failures(measurements: Sequence[Measurement]) -> str:
    """Write each distinct error once, with where it happened."""
    places: dict[str, list[str]] = {}
    for m in measurements:
        if m.error:
            places.setdefault(m.error, []).append(f"{m.system} {m.scenario} (round {m.round})")
    return "\n".join(f"- {', '.join(where)}:\n  {error}" for error, where in places.items())


def _render(table: _Table, measurements: Sequence[Measurement]) -> str:
    ran = {(m.system, m.scenario) for m in measurements}
    systems = list(dict.fromkeys(m.system for m in measurements))
    scenarios = [name for name in table.scenarios if any((system, name) in ran for system in systems)]
    if not scenarios:
        return ""
    rows = [[system, *(_render_cell(table, measurements, system, name) for name in scenarios)] for system in systems]
    lines = [["system", *scenarios], ["---"] * (len(scenarios) + 1), *rows]
    return f"### {table.title}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _render_cell(table: _Table, measurements: Sequence[Measurement], system: str, scenario: str) -> str:
    values = [find_median(measurements, system, scenario, figure) for figure in table.figures]
    text = " / ".join(format_figure(value) for value in values)
    reference = find_median(measurements, REFERENCE, scenario, table.figures[0])
    if table.has_ratio and values[0] is not None and reference:
        text += f" ({values[0] / reference:.2f})"
    return text


def format_figure(value: float | None) -> str:
    """Write three digits, or all before the point."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"
