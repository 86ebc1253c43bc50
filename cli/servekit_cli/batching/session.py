"""One `servekit batch` from its rows to the last result, whatever ends it."""

import asyncio
import itertools
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack
from functools import partial
from typing import Final

from servekit.jobs import Tally, run_batch
from servekit_cli.batching.arguments import BatchArguments
from servekit_cli.batching.beginning import Beginning, begin
from servekit_cli.batching.fitting import RowFitter, find_file_input
from servekit_cli.batching.fixed import read_fixed
from servekit_cli.batching.hosts import Host, OpenHost
from servekit_cli.batching.job import run_job
from servekit_cli.batching.output_files import OutputFiles
from servekit_cli.batching.pace import Pace
from servekit_cli.batching.places import OutputPlace, files_beside_stdout
from servekit_cli.batching.records import Record, Source
from servekit_cli.batching.rows import InputRow, fit_rows
from servekit_cli.batching.sinks import LineSink, StdoutLines
from servekit_cli.batching.sources import open_source
from servekit_cli.batching.stopping import Stop
from servekit_cli.batching.summary import Report
from servekit_cli.batching.views import show_job
from servekit_cli.container.interrupts import Interrupts
from servekit_cli.container.waiting import wait_unless
from servekit_cli.schemas import Schema

__all__ = ["Session"]

_END_SECONDS: Final = 10.0
"""How long the end of what was cancelled may take, before nothing is waited for any more."""


class Session:
    """Runs a job once.

    Args:
        arguments: What the command said.
        host: What runs the rows.
        place: Where results go; None for stdout.

    Attributes:
        exit_code: That of the signal that ended it; None if none did.

    Raises:
        UsageError: The rows are not there, or of no known format.
    """

    def __init__(self, arguments: BatchArguments, host: Host, place: OutputPlace | None) -> None:
        self.exit_code: int | None = None
        self._arguments = arguments
        self._host = host
        self._place = place
        self._stop = Stop()
        self._source: Source = open_source(arguments.inputs, arguments.input_format, self._find_file_input, self._stop)
        self._schema: Schema = {}
        self._tally = Tally()
        self._beginning: Beginning | None = None
        self._is_running = False
        self._write = _write_to_stderr

    async def run(self) -> Report:
        """Run the rows, until their end or a signal, and say what was done.

        Raises:
            ServekitError: The job could not begin, or not go on; what was made is written.
            OSError: The results cannot be written.
        """
        with Interrupts() as interrupts:
            working = asyncio.create_task(self._work())
            await wait_unless(interrupts.first, working)
            if not working.done():
                await self._end(working, interrupts)
            self.exit_code = interrupts.exit_code
        if not working.cancelled() and (error := working.exception()) is not None:
            if self._beginning is not None:
                self._beginning.clear_if_empty()
            raise error
        return self._report()

    def check_rows(self) -> Iterator[tuple[str, str | None]]:
        """Give the place of each row with what is wrong with it, and run none."""
        fitter = self._make_fitter(self._host.fetch_schema())
        return ((record.place, fitter.fit(record).fault) for record in self._choose(self._source.read()))

    # ------------------------------------------------------------------ the way of the rows

    async def _work(self) -> None:
        async with AsyncExitStack() as stack:
            await self._begin(stack)
            host = await stack.enter_async_context(self._host.open(self._print))
            total = await asyncio.to_thread(self._count)
            pace = Pace(total, 0 if self._beginning is None else self._beginning.done.count)
            run = run_batch(host.target, self._rows(host), **self._arguments.job_options())
            self._tally = run.tally
            view = await stack.enter_async_context(show_job(pace, is_quiet=self._arguments.is_quiet))
            self._write, self._is_running = view.write, True
            try:
                await run_job(run, self._sink(host), view, self._stop, max_errors=self._arguments.max_errors)
            finally:
                self._is_running = False

    def _print(self, text: str) -> None:
        """Pass on what the predictor prints, to where it does not disturb what is shown at the time."""
        self._write(text)

    async def _begin(self, stack: AsyncExitStack) -> None:
        if self._place is None:
            return
        arguments = self._arguments
        opening = partial(begin, self._place, self._source, arguments.digest(), arguments.manner)
        self._beginning = await asyncio.to_thread(opening)
        stack.enter_context(self._beginning.results)

    def _rows(self, host: OpenHost) -> Iterator[InputRow]:
        fitter = self._make_fitter(host.input_schema)
        records: Iterator[Record]
        if self._beginning is None:
            records = itertools.takewhile(lambda _: not self._stop.is_asked, self._source.read())
        else:
            records = self._beginning.rows_to_run(self._stop)
        return fit_rows(self._choose(records), fitter)

    def _choose(self, records: Iterator[Record]) -> Iterator[Record]:
        """Give the rows between `--skip` and `--limit`, counted in the whole input."""
        first, limit = self._arguments.skip + 1, self._arguments.limit
        last = float("inf") if limit is None else self._arguments.skip + limit
        for record in records:
            if record.number >= first:
                if record.number <= last:
                    yield record
                if record.number >= last:
                    return

    def _sink(self, host: OpenHost) -> LineSink:
        lines = StdoutLines() if self._beginning is None else self._beginning.results
        folder = files_beside_stdout() if self._place is None else self._place.files
        return LineSink(lines, OutputFiles(host.output_schema, folder), has_input=self._arguments.has_input)

    def _make_fitter(self, schema: Schema) -> RowFitter:
        self._schema = schema
        return RowFitter(
            schema,
            fixed=read_fixed(self._arguments.values, schema),
            renamed=self._arguments.read_renames(),
            ignores_unknown=self._arguments.ignores_unknown,
        )

    def _find_file_input(self) -> str:
        return find_file_input(self._schema, self._arguments.input_name)

    def _count(self) -> int | None:
        """Count the rows, if somebody is going to see how many are left."""
        if self._arguments.is_quiet:
            return None
        total = self._source.count()
        if total is None:
            return None
        total = max(total - self._arguments.skip, 0)
        return total if self._arguments.limit is None else min(total, self._arguments.limit)

    # ------------------------------------------------------------------ the end

    async def _end(self, working: "asyncio.Task[None]", interrupts: Interrupts) -> None:
        """End what runs after a signal: in order, then by force, and then without waiting for it."""
        if self._is_running:
            self._stop.ask("interrupted")
            self._write("Stopping: rows that run come to their end; again, and they are canceled.\n")
            await wait_unless(interrupts.second, working, self._host.grace_seconds)
        while not working.done():
            working.cancel()
            await asyncio.wait({working}, timeout=_END_SECONDS)

    def _report(self) -> Report:
        done = None if self._beginning is None else self._beginning.done
        return Report(
            input=self._source.name,
            output="stdout" if self._place is None else str(self._place.path),
            target=self._host.name,
            stopped=self._stop.reason or ("interrupted" if self.exit_code else None),
            done_before=0 if done is None else done.count,
            failed_before=0 if done is None else done.failed,
            summary=self._tally.summary(),
        )


def _write_to_stderr(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
