"""`run_batch`: a predictor over any number of rows."""

import contextvars
import time
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Collection, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from servekit.jobs.engine import BatchState, Engine
from servekit.jobs.instance_target import HasPredict
from servekit.jobs.opening import choose_target
from servekit.jobs.options import RETRYABLE, Concurrency, JobOptions
from servekit.jobs.rows import FailureKind, Row, RowResult
from servekit.jobs.tally import Tally
from servekit.jobs.target import Target
from servekit.spec import Spec
from servekit.threads import RetryPolicy

__all__ = ["BatchRun", "run_batch"]


def run_batch(
    target: Target | HasPredict | Spec | str | Path | Callable[..., Any],
    rows: Iterable[Row | Mapping[str, Any]] | AsyncIterable[Row | Mapping[str, Any]],
    *,
    concurrency: Concurrency = "auto",
    timeout: float | None = None,
    retries: int | RetryPolicy = 3,
    retry_on: Collection[FailureKind] = RETRYABLE,
    rate: str | float | None = None,
    token_rate: str | float | None = None,
    tokens: str | Callable[[Row], float] = "tokens",
    memory_limit: int | None = None,
    ordered: bool = True,
) -> "BatchRun":
    """Run a predictor over any number of rows, and give one result for each as it comes.

    ```python
    async with run_batch("path/to/project", [{"prompt": "a"}, {"prompt": "b"}]) as results:
        async for result in results:
            print(result.output if result.is_success else result.error)
    ```

    Rows are read as they are needed, and no more than a few hundred are on their way at once, so there may be
    millions of them. A row that fails costs no other row anything: its result says what was wrong with it.

    The rows run with the settings that `configure` has set here, be it before or meanwhile, and over them those of
    the `context` in which this is called; worker processes get both.

    Args:
        target: What runs the rows. A project's folder or spec, or a class or function that can be imported, runs in
            worker processes as its spec says, from the first result to the end of the iteration. An instance of a
            predictor, whose `setup` the caller has run, runs in this process, one row at a time if it is sync. A
            `Target` is used as it is; the caller opens it before and closes it afterwards.
        rows: The inputs by name of each row, or `Row` objects. A plain iterable is read in a thread of its own.
        concurrency: How many rows run at a time. "auto": as many as the workers have slots; where nobody can tell,
            as many as bring more throughput, and fewer when a server refuses some. A number is a bound to that.
        timeout: How many seconds a row may take, from the start of its first attempt on and with the pauses between
            attempts.
        retries: How many more times a row is tried, with growing pauses; or a policy that says more. What is worth
            another try is told by `retry_on` in either case.
        retry_on: The kinds of failures after which a row is tried again. If not given, those that have nothing to
            do with the row: its worker died, it was refused for now, the connection broke, the server failed.
        rate: How many attempts may begin per second, or such as "5000/min".
        token_rate: How many tokens may be used per second, or such as "100000/min".
        tokens: What counts them: the name of a metric that the predictor records, or a function of the row. With a
            metric an attempt counts as much as those before it on average until it has ended.
        memory_limit: From how many bytes in use on, by this process and all it started, no row is begun until it
            falls again. One row may always run. It needs the package psutil.
        ordered: Give results in the order of the rows, else as they are there. A slow row holds up those after it; a
            few hundred of them are run meanwhile.

    Returns:
        The results, to be iterated over once, in a running event loop; and what the job does and has done so far. The
        iteration raises what reading the rows raised, after the results of those before, and what kept the target from
        being opened.

    Raises:
        UsageError: An option has a value that it cannot have, or the target is none.
        SpecError: The target's spec is not there, or cannot be used.
    """
    options = JobOptions(
        concurrency=concurrency,
        timeout=timeout,
        retries=retries,
        retry_on=retry_on,
        rate=rate,
        token_rate=token_rate,
        tokens=tokens,
        memory_limit=memory_limit,
        ordered=ordered,
    )
    return BatchRun(choose_target(target), rows, options)


class BatchRun:
    """The results of a batch job, one for each row: `async for result in run`.

    The job begins when the first result is asked for. It ends with its last row; or early when it is closed, best by
    `async with run:` around the loop. Then no row is begun any more, those that run are canceled, and it is
    waited for their end. Its rows run in a copy of the Context in which it is made.

    Args:
        target: Gives what runs the rows, from the job's beginning to its end.
        rows: Rows, or the inputs of each by name.
        options: How they are run.
        clock: A monotonic clock, in seconds.

    Attributes:
        tally: What was done so far.
    """

    def __init__(
        self,
        target: AbstractAsyncContextManager[Target],
        rows: Iterable[Any] | AsyncIterable[Any],
        options: JobOptions,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.tally = Tally(clock)
        self._opening = target
        self._rows = rows
        self._options = options
        self._clock = clock
        self._context = contextvars.copy_context()  # each step of the iteration may be in another one
        self._engine: Engine | None = None
        self._results = self._run()

    def __aiter__(self) -> AsyncIterator[RowResult]:
        """Return the results, as they come."""
        return self._results

    async def __aenter__(self) -> Self:
        """Have the job ended with the block."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the job."""
        await self.aclose()

    def drain(self) -> None:
        """Begin no further rows; those that were begun come to their end, and so does the iteration."""
        if self._engine is not None:
            self._engine.drain()

    async def aclose(self) -> None:
        """End the job: cancel what runs, and wait until nothing does."""
        await self._results.aclose()

    @property
    def state(self) -> BatchState:
        """What the job does at the moment."""
        return BatchState() if self._engine is None else self._engine.state

    async def _run(self) -> AsyncGenerator[RowResult, None]:
        async with self._opening as target:
            self.tally.begin()
            engine = self._engine = Engine(target, self._rows, self._options, self.tally, self._clock, self._context)
            try:
                await engine.start()
                while (result := await engine.next_result()) is not None:
                    yield result
            finally:
                await engine.stop()
