"""The plots of a report as numbers: where each bar, tick and label stands. The template draws them."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from servekit_cli.batching.pace import describe_seconds
from servekit_cli.batching.summary import Report, join_intervals

__all__ = ["Bar", "Mark", "Plot", "Tick", "plot_durations", "plot_throughput"]

_WIDTH: Final = 880
_HEIGHT: Final = 260
_LEFT: Final = 64
_RIGHT: Final = _WIDTH - 16
_TOP: Final = 16
_BOTTOM: Final = _HEIGHT - 32
_INTERVALS: Final = 60
_TICKS: Final = 4
_LABELS: Final = 8
_GAP: Final = 0.12
_LOG_STEP: Final = math.log(10.0) / 10
"""Of the spread of durations, see `Histogram.spread`."""


@dataclass(frozen=True)
class Tick:
    """A label at an axis."""

    at: float
    label: str


@dataclass(frozen=True)
class Mark:
    """A line across the plot, with its label at a height of its own."""

    at: float
    y: float
    label: str


@dataclass(frozen=True)
class Bar:
    """A bar, whose upper part stands for failures."""

    x: float
    y: float
    width: float
    height: float
    bad_y: float
    bad_height: float
    label: str


@dataclass(frozen=True)
class Plot:
    """A plot, and its numbers as a table for those who do not see it."""

    title: str
    description: str
    bars: Sequence[Bar]
    ticks_x: Sequence[Tick]
    ticks_y: Sequence[Tick]
    marks: Sequence[Mark]
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    has_failed: bool = False
    width: int = _WIDTH
    height: int = _HEIGHT
    left: int = _LEFT
    right: int = _RIGHT
    top: int = _TOP
    bottom: int = _BOTTOM


@dataclass(frozen=True)
class _Column:
    """A bar before it has a place."""

    label: str
    value: float
    bad: float


def plot_throughput(report: Report) -> Plot:
    """Plot rows per second over time."""
    intervals = list(join_intervals(report, _INTERVALS))
    columns = [
        _Column(
            f"{describe_seconds(begin)} to {describe_seconds(end)}: {rate:,.1f} rows/s", rate, failed / (end - begin)
        )
        for begin, end, rate, failed in intervals
    ]
    most = max((column.value for column in columns), default=0.0)
    slot = (_RIGHT - _LEFT) / max(len(columns), 1)
    step = max(1, -(-len(columns) // _LABELS))
    return Plot(
        "Throughput over time, rows per second",
        f"Bars: rows per second over {describe_seconds(report.summary.elapsed_seconds)}, at most {most:,.0f}.",
        list(_place(columns, slot, most)),
        [Tick(_LEFT + i * slot, describe_seconds(intervals[i][0])) for i in range(0, len(intervals), step)],
        list(_tick_heights(most)),
        [],
        ("Time", "Rows per second", "Failed rows"),
        [
            (column.label.partition(":")[0], f"{rate:,.1f}", f"{failed:,}")
            for column, (_, _, rate, failed) in zip(columns, intervals, strict=True)
        ],
        has_failed=any(failed for *_, failed in intervals),
    )


def plot_durations(report: Report) -> Plot:
    """Plot how many rows took how long, on a logarithmic axis."""
    durations = report.summary.durations
    steps = {round(math.log(bound) / _LOG_STEP): count for bound, count in durations.spread}
    first, last = min(steps, default=0), max(steps, default=0)
    columns = [
        _Column(f"up to {_describe_step(step)}: {steps.get(step, 0):,} rows", steps.get(step, 0), 0.0)
        for step in range(first, last + 1)
    ]
    most = max((column.value for column in columns), default=0.0)
    slot = (_RIGHT - _LEFT) / max(len(columns), 1)
    every = max(1, -(-len(columns) // _LABELS))
    return Plot(
        "How long rows took",
        f"Bars: how many rows took how long; half of them up to {describe_seconds(durations.p50 or 0.0)}.",
        list(_place(columns, slot, most)),
        [Tick(_LEFT + (step - first + 1) * slot, _describe_step(step)) for step in range(first, last, every)],
        list(_tick_heights(most)),
        list(_mark_percentiles(report, first, slot)),
        ("Up to", "Rows"),
        [(_describe_step(step), f"{steps.get(step, 0):,}") for step in range(first, last + 1)],
    )


def _mark_percentiles(report: Report, first: int, slot: float) -> Iterator[Mark]:
    durations = report.summary.durations
    for line, (name, value) in enumerate((("p50", durations.p50), ("p90", durations.p90), ("p99", durations.p99))):
        if value is not None:
            at = _LEFT + (math.log(value) / _LOG_STEP - first + 1) * slot
            yield Mark(_round(min(at, _RIGHT)), _TOP + 12 + 16 * line, name)


def _place(columns: Sequence[_Column], slot: float, most: float) -> Iterator[Bar]:
    scale = (_BOTTOM - _TOP) / (_top_of_axis(most) or 1.0)
    for index, column in enumerate(columns):
        height, bad = column.value * scale, column.bad * scale
        yield Bar(
            x=_round(_LEFT + (index + _GAP / 2) * slot),
            y=_round(_BOTTOM - height),
            width=_round(slot * (1 - _GAP)),
            height=_round(height),
            bad_y=_round(_BOTTOM - height),
            bad_height=_round(bad),
            label=column.label,
        )


def _tick_heights(most: float) -> Iterator[Tick]:
    top = _top_of_axis(most)
    for index in range(_TICKS + 1 if top else 1):
        yield Tick(_round(_BOTTOM - (_BOTTOM - _TOP) * index / _TICKS), f"{top * index / _TICKS:,.4g}")


def _top_of_axis(most: float) -> float:
    """Round up to a number that four ticks divide well."""
    if most <= 0:
        return 0.0
    unit = 10.0 ** math.floor(math.log10(most))
    return next(unit * factor for factor in (1, 2, 4, 6, 8, 10) if unit * factor >= most * (1 - 1e-9))


def _describe_step(step: int) -> str:
    return describe_seconds(math.exp(step * _LOG_STEP))


def _round(value: float) -> float:
    return round(value, 2)
