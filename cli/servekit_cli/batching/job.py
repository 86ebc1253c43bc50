"""One run of `servekit batch`: rows in, results out, until the rows are at their end or somebody stops it.

Whoever stops it ends the rows, and what runs comes to its end: no result that was made is thrown away. Only when it
is cancelled what runs is cancelled, too; that has no result then, and is run again by `--resume`.
"""

import asyncio
from typing import Any, Final

from servekit.jobs import BatchRun, FailureKind, RowResult
from servekit_cli.batching.results_file import FLUSH_SECONDS
from servekit_cli.batching.sinks import LineSink
from servekit_cli.batching.stopping import Stop
from servekit_cli.batching.views import JobView

__all__ = ["run_job"]

_LOST_AFTER: Final = 100
"""So many rows one after the other that no server took: it is gone, and the rest is better left for later. By feel."""

_LOST: Final = frozenset({FailureKind.CONNECTION, FailureKind.REFUSED})


async def run_job(
    run: BatchRun,
    sink: LineSink,
    view: JobView,
    stop: Stop,
    *,
    max_errors: int | None = None,
) -> None:
    """Run rows, and write their results.

    What was made is written also if it is cancelled, or fails.

    Args:
        run: The job; its target is ready, and its rows end when `stop` is asked for.
        sink: Takes the results.
        view: Is told of each.
        stop: Asked for from here when too many rows fail.
        max_errors: How many rows may fail before no further ones are begun; None for any number.

    Raises:
        OSError: Results cannot be written.
        UsageError: The rows cannot be read on.
    """
    guard = _Guard(stop, max_errors)
    stop.on_ask = run.drain
    try:
        async with run, _Flushing(sink):
            async for result in run:
                view.advance(is_success=result.is_success)
                guard.look_at(result)
                await sink.put(result)
    finally:
        await sink.flush(is_last=True)


class _Guard:
    """Stops a job that does nothing but fail."""

    def __init__(self, stop: Stop, max_errors: int | None) -> None:
        self._stop = stop
        self._max_errors = max_errors
        self._failed = 0
        self._lost = 0

    def look_at(self, result: RowResult) -> None:
        if result.is_success:
            self._lost = 0
            return
        self._failed += 1
        self._lost = self._lost + 1 if result.kind in _LOST else 0
        if self._lost == _LOST_AFTER:
            self._stop.ask(f"{_LOST_AFTER} rows one after the other were not taken by the server: {result.error}")
        if self._max_errors is not None and self._failed > self._max_errors:
            self._stop.ask(f"more than {self._max_errors} rows failed (--max-errors)")


class _Flushing:
    """Writes results regularly while the block runs, also when no new ones come.

    An error in it cancels the block, and is raised at its end.
    """

    def __init__(self, sink: LineSink) -> None:
        self._sink = sink
        self._error: OSError | None = None

    async def __aenter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._flushing = asyncio.create_task(self._flush(task))

    async def __aexit__(self, *_: object) -> None:
        self._flushing.cancel()
        await asyncio.wait({self._flushing})
        if self._error is not None:
            raise self._error

    async def _flush(self, task: "asyncio.Task[Any]") -> None:
        try:
            while True:
                await asyncio.sleep(FLUSH_SECONDS)
                await self._sink.flush()
        except OSError as error:
            self._error = error
            task.cancel()
