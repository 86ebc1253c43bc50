"""What `servekit batch` does, from its arguments to its exit code."""

from pathlib import Path
from typing import Final

import uvloop

from servekit_cli.batching.arguments import BatchArguments
from servekit_cli.batching.done import restore_order, scan_results
from servekit_cli.batching.hosts import Host, LocalHost, UrlHost
from servekit_cli.batching.merging import MERGERS
from servekit_cli.batching.parquet import load_pyarrow
from servekit_cli.batching.places import OutputPlace, find_place
from servekit_cli.batching.report_page import write_report
from servekit_cli.batching.session import Session
from servekit_cli.batching.summary import Report, describe_report
from servekit_cli.batching.tables import write_table
from servekit_cli.border import SOME_FAILED
from servekit_cli.container_flags import take_variables
from servekit_cli.options import load_spec_for_run, say_warnings, say_what_is_left_out
from servekit_cli.terminal import say

__all__ = ["run_command"]

_NONE_WORKED: Final = 1
_SHOWN_FAULTS: Final = 20


def run_command(arguments: BatchArguments) -> int:
    """Run the rows, write the results, and report.

    Returns:
        0 if every row has succeeded, 15 if some have, 1 if none has; 130 or 143 after a signal.

    Raises:
        UsageError: The arguments, the rows or the results are of no use.
        ServekitError: What runs the rows could not be made ready.
        OSError: The results cannot be written.
    """
    arguments.check()
    place = None if arguments.goes_to_stdout else find_place(arguments.output)
    if place is not None and place.format == "parquet":
        load_pyarrow()
    host = _find_host(arguments)
    session = Session(arguments, host, place)
    if arguments.is_dry:
        return _check_rows(session)
    report = uvloop.run(session.run())
    if place is not None:
        _finish(place, arguments, report)
    _tell(report, arguments, place)
    return _choose_exit_code(report) if session.exit_code is None else session.exit_code


def _find_host(arguments: BatchArguments) -> Host:
    if arguments.url is not None:
        return UrlHost(arguments)
    if arguments.image is not None:
        from servekit_cli.batching.image_host import find_image_host  # noqa: PLC0415 - loads the Docker SDK

        return find_image_host(arguments)
    return _prepare_project(arguments)


def _prepare_project(arguments: BatchArguments) -> LocalHost:
    from servekit_cli.environment import prepare_environment  # noqa: PLC0415 - only with a project
    from servekit_cli.weights import place_weights  # noqa: PLC0415

    take_variables(arguments.env, arguments.env_file)
    spec = load_spec_for_run(arguments.file, arguments.overrides).for_mode("predict")
    say_warnings(spec)
    say_what_is_left_out(spec)
    python: Path = prepare_environment(spec)
    place_weights(spec)
    return LocalHost(spec, python)


def _check_rows(session: Session) -> int:
    """Say which rows do not fit; `--dry-run`."""
    rows = faults = 0
    for place, fault in session.check_rows():
        rows += 1
        if fault is not None:
            faults += 1
            if faults <= _SHOWN_FAULTS:
                say(f"{place}: {fault}")
    if faults > _SHOWN_FAULTS:
        say(f"... and {faults - _SHOWN_FAULTS:,} others")
    say(f"{rows:,} rows: {rows - faults:,} fit, {faults:,} do not. None was run.")
    if not faults:
        return 0
    return SOME_FAILED if faults < rows else _NONE_WORKED


def _finish(place: OutputPlace, arguments: BatchArguments, report: Report) -> None:
    """Put results into order, and make of them what was asked for."""
    if arguments.is_ordered and report.done_before and not scan_results(place.lines).is_ordered:
        restore_order(place.lines)
    if report.stopped is not None:
        return
    merge = arguments.read_merge()
    if merge is not None:
        rows = MERGERS[merge.kind][0](place.lines, merge.path)
        say(f"Merged {rows:,} results into: {merge.path}")
    if place.is_table:
        write_table(place)
        if not report.failed:
            place.journal.unlink()
            place.lines.unlink()


def _tell(report: Report, arguments: BatchArguments, place: OutputPlace | None) -> None:
    for path in arguments.read_reports():
        write_report(report, path)
    if report.stopped is not None:
        say(f"Stopped: {report.stopped}.")
    if not arguments.is_quiet:
        if not report.summary.rows and not report.done_before and report.stopped is None:
            say(f"{report.input} holds no rows.")
        else:
            say(describe_report(report))
    if place is None:
        return
    if report.stopped is None:
        if not arguments.is_quiet:
            say(f"Written results to: {place.path}")
    else:
        again = " (and --retry-failed, to run those again that failed)" if report.failed else ""
        say(f"What is done is in {place.lines}. Go on with the same command and --resume{again}.")


def _choose_exit_code(report: Report) -> int:
    if not report.failed and report.stopped is None:
        return 0
    return SOME_FAILED if report.succeeded else _NONE_WORKED
