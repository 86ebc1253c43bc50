"""The report of a job as a file: JSON, or a page that needs nothing but itself."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec
from jinja2 import Environment, StrictUndefined

from servekit.errors import UsageError
from servekit_cli.batching.pace import describe_seconds
from servekit_cli.batching.plots import plot_durations, plot_throughput
from servekit_cli.batching.summary import Report, describe_share
from servekit_templates import read_text

__all__ = ["render_page", "write_report"]


@dataclass(frozen=True)
class _Card:
    name: str
    value: str
    note: str


def write_report(report: Report, path: Path) -> None:
    """Write a report as JSON or as a page, as the extension says.

    Raises:
        UsageError: It cannot be written.
    """
    is_page = path.suffix.lower() == ".html"
    content = render_page(report).encode() if is_page else msgspec.json.format(msgspec.json.encode(report)) + b"\n"
    try:
        path.write_bytes(content)
    except OSError as error:
        raise UsageError(f"--report names {path}, which cannot be written: {error.strerror}.") from error


def render_page(report: Report) -> str:
    """Write a report as one page of HTML, with its plots in it."""
    environment = Environment(trim_blocks=True, autoescape=True, undefined=StrictUndefined)
    return environment.from_string(read_text("batch_report.html.jinja")).render(
        report=report,
        started=_describe_time(report.summary.started_at),
        ended=_describe_time(report.summary.ended_at),
        cards=_make_cards(report),
        plots=(plot_throughput(report), plot_durations(report)) if report.summary.rows else (),
        errors=report.summary.errors,
    )


def _make_cards(report: Report) -> list[_Card]:
    summary, durations = report.summary, report.summary.durations
    before = f"{report.done_before:,} more were done before" if report.done_before else "of this run"
    return [
        _Card("Rows", f"{summary.rows:,}", before),
        _Card("Succeeded", f"{summary.succeeded:,}", describe_share(summary.succeeded, summary.rows)),
        _Card("Failed", f"{summary.failed:,}", describe_share(summary.failed, summary.rows)),
        _Card("Throughput", f"{summary.rows_per_second:,.4g}", "rows per second"),
        _Card("Time", describe_seconds(summary.elapsed_seconds), f"{summary.attempts:,} attempts"),
        _Card(
            "Median row",
            "none" if durations.p50 is None else describe_seconds(durations.p50),
            "" if durations.p99 is None else f"99 % up to {describe_seconds(durations.p99)}",
        ),
    ]


def _describe_time(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"
