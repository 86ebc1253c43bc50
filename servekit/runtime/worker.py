"""A worker: one predictor instance and the predictions that run on it.

The same object runs in a process of its own and, with `isolation: thread`, on a thread of the
server. It lives on one event loop; sync predictors run in its threads, as many as it has slots.
`setup` of a sync predictor runs in the first of these threads, so with one slot everything of the
predictor happens in one thread, as libraries with thread affinity need it.

The life of a worker: load -> `Loaded` -> (`Setup`) -> setup -> `Ready` -> predictions ->
(`Shutdown`, or the other side is gone) -> teardown -> closed.
"""

import asyncio
import contextlib
import contextvars
import inspect
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, assert_never

import msgspec

from servekit.batching import find_batch_options
from servekit.configuration.given import load_with_settings
from servekit.configuration.inheritance import Inheritance
from servekit.configuration.requests import overrides_schema
from servekit.errors import PredictorError
from servekit.loading import find_loader
from servekit.predictor import LoadedPredictor, PredictorHandle
from servekit.runtime.batching.batcher import Batcher
from servekit.runtime.batching.member import Member
from servekit.runtime.batching.policy import BatchLimits, BatchPolicy
from servekit.runtime.execution import Execution
from servekit.runtime.failure import author_traceback, describe
from servekit.runtime.link import Link
from servekit.runtime.logs import SetupSink
from servekit.runtime.protocol import (
    Cancel,
    Configure,
    Configured,
    GiveUp,
    Health,
    HealthCheck,
    Loaded,
    Log,
    Pause,
    Ping,
    Pong,
    Ready,
    Resume,
    Run,
    Setup,
    SetupFailed,
    Shutdown,
    ToServer,
    ToWorker,
)
from servekit.runtime.pulse import ThreadProbe
from servekit.runtime.settings import WorkerSettings
from servekit.scope import bind_sink
from servekit.signature import Signature, inspect_signature
from servekit.threads import ContextThreadPoolExecutor

__all__ = ["Worker"]

_EARLY_THREADS = 64
"""How many predict threads are started before they are needed; chosen by feel."""


class Worker:
    """One predictor instance; made and used on the loop it lives on.

    Args:
        settings: What the spec says of workers.
        link: Where messages for the server go.
        has_own_process: Nothing else of servekit's lives in this process.
    """

    settings: WorkerSettings
    signature: Signature
    predict: Callable[..., Any]
    executor: ContextThreadPoolExecutor
    inheritance: Inheritance

    def __init__(self, settings: WorkerSettings, link: Link[ToServer], *, has_own_process: bool = False) -> None:
        self.settings = settings
        self.adopts_threads = False
        self._runs_one = has_own_process and settings.concurrency == 1
        self.executor = ContextThreadPoolExecutor(settings.concurrency, thread_name_prefix="predict")
        self.post = link.post
        self.closed = asyncio.Event()
        self._link = link
        self._loop = asyncio.get_running_loop()
        self._quiet = asyncio.Event()  # set when the last prediction of a closing worker has ended
        self._running: dict[int, Execution | Member] = {}
        self._batcher: Batcher | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._loaded: LoadedPredictor | None = None
        self._handle: PredictorHandle | None = None
        self._closing = False
        self._imports = contextlib.ExitStack()  # holds what the author's code may import
        self._threads = ThreadProbe(self.executor)
        self._checkup: asyncio.Future[str | None] | None = None
        self.inheritance = Inheritance()
        if settings.configured is not None:
            self.inheritance.take(settings.configured)

    async def drained(self) -> None:
        """Wait until the server has taken most of what was posted."""
        await self._link.drained()

    def ended(self, key: int) -> None:
        """Take note of a prediction's end; called from any thread."""
        self._running.pop(key, None)
        if self._closing and not self._running:
            with contextlib.suppress(RuntimeError):  # the loop has closed: nobody waits any more
                self._loop.call_soon_threadsafe(self._quiet.set)

    # ------------------------------------------------------------------ messages

    def handle(self, messages: list[ToWorker]) -> None:
        """Act on messages of the server."""
        for message in messages:
            match message:
                case Run():
                    batcher = self._batcher
                    running = Execution(self, message) if batcher is None else Member(self, message, batcher)
                    self._running[message.key] = running
                    running.start()
                case Cancel() | Pause() | Resume() | GiveUp():
                    self._steer(message)
                case Ping():
                    self.post(Pong(message.number, self._threads.ask(has_free_thread=self._has_free_thread)))
                case HealthCheck():
                    self._spawn(self._check_health(message.number))
                case Configure():
                    self._configure(message.values)
                case Setup():
                    self._spawn(self._set_up())
                case Shutdown():
                    self.close()
                case _:
                    assert_never(message)

    def close(self) -> None:
        """Cancel what runs, run `teardown`, and set `closed`. The server's end calls it by going away."""
        if not self._closing:
            self._closing = True
            self._spawn(self._tear_down())

    def load(self) -> None:
        """Import the predictor and say what it takes and gives, or why that failed."""
        self._spawn(self._load())

    def _configure(self, values: bytes) -> None:
        """Take over what the program has configured; what comes after this sees it."""
        before = self.inheritance.fault
        self.inheritance.take(values)
        fault = self.inheritance.fault
        if fault is not None and fault != before:
            self.post(Log(0, "stderr", f"predictions fail until this is mended: {fault}\n"))
        self.post(Configured())

    def _steer(self, message: Cancel | Pause | Resume | GiveUp) -> None:
        execution = self._running.get(message.key)
        if execution is None:
            return  # it ended while the message was on its way
        if isinstance(message, Cancel):
            execution.cancel()
        elif isinstance(message, Pause):
            execution.pause()
        elif isinstance(message, GiveUp):
            execution.give_up()
        else:
            execution.resume()

    @property
    def _has_free_thread(self) -> bool:
        """Whether a sync predictor that is ready has a thread on which nothing runs."""
        if self._handle is None or self._closing or self.signature.is_async:
            return False
        if self._batcher is not None:
            return self._batcher.has_free_run
        return len(self._running) < self.settings.concurrency

    def _spawn(self, body: Any) -> None:
        """Run something of the worker's own, under an empty Context and owned by the worker."""
        task = asyncio.get_running_loop().create_task(body, context=contextvars.Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # ------------------------------------------------------------------ life

    async def _load(self) -> None:
        bind_sink(SetupSink(self.post))
        try:
            loader = find_loader(self.settings.dialect, self.settings.mode)
            self._imports.enter_context(loader.imports())
            settings = self.settings
            loaded = await self._in_thread(
                load_with_settings, settings.values, loader.load, settings.predictor, Path(settings.root)
            )
            self.signature = inspect_signature(loaded.predict, loaded.reference, loader.reading)
            self.adopts_threads = loader.adopts_threads and self._runs_one and not self.signature.is_async
            policy = _find_batch_policy(self.settings, self.signature, loaded)
            await self._in_thread(self.inheritance.confirm)
        except BaseException as error:  # noqa: BLE001 - the border to the author's module
            self._give_up("load", error)
            return
        self._loaded = loaded
        if policy is not None:
            self._batcher = Batcher(self, policy, self.settings.concurrency)
        self.post(_loaded_message(self.signature, loaded, policy, self.settings.concurrency))

    async def _set_up(self) -> None:
        assert self._loaded is not None
        bind_sink(SetupSink(self.post))
        try:
            handle = await self._in_thread(self._loaded.instantiate)
            if handle.setup is not None:
                _check_takes_nothing(handle.setup)
                await self._call(handle.setup)
                await self._in_thread(self.inheritance.renew, self.settings.configured_at_opening)
        except BaseException as error:  # noqa: BLE001 - the border to the author's setup
            self._give_up("setup", error)
            return
        self._handle = handle
        self.predict = handle.predict
        if not self.signature.is_async:
            self._start_threads()
        self.post(Ready())

    def _start_threads(self) -> None:
        """Start the predict threads now: a thread takes 0.1 ms to start, which the first predictions would wait for."""
        count = min(self.settings.concurrency, _EARLY_THREADS)
        everyone = threading.Barrier(count)  # who waits here cannot take the next job, so each job gets a thread
        for _ in range(count):
            self.executor.submit(everyone.wait)

    def _give_up(self, stage: Any, error: BaseException) -> None:
        is_ours = isinstance(error, PredictorError)
        message = str(error) if is_ours else describe(error)
        trace = "" if is_ours else author_traceback(error)
        self.post(SetupFailed(stage, type(error).__name__, message, trace))
        self.close()

    async def _tear_down(self) -> None:
        for execution in list(self._running.values()):
            execution.cancel()
        if self._running:  # their clean-up code comes before the teardown
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._quiet.wait(), self.settings.cancel_grace)
        if self._handle is not None and self._handle.teardown is not None:
            bind_sink(SetupSink(self.post))
            try:
                await self._call(self._handle.teardown)
            except BaseException as error:  # noqa: BLE001 - the border to the author's teardown; the worker ends all the same
                self.post(_teardown_failed(error))
        self.executor.shutdown(wait=False, cancel_futures=True)
        if self._batcher is not None:
            self._batcher.close()
        self._imports.close()
        self._link.close()
        self.closed.set()

    async def _check_health(self, number: int) -> None:
        """Answer with the author's healthcheck; while one is under way, all who ask share it."""
        if self._checkup is None or self._checkup.done():
            self._checkup = asyncio.ensure_future(self._call_healthcheck())
        limit = self.settings.healthcheck_timeout
        try:
            error = await asyncio.wait_for(asyncio.shield(self._checkup), limit)
        except TimeoutError:
            error = f"healthcheck timed out after {limit} seconds (serve.healthcheck_timeout)"
        self.post(Health(number, error))

    async def _call_healthcheck(self) -> str | None:
        check = self._handle.healthcheck if self._handle is not None else None
        if check is None:
            return None
        try:
            is_well = bool(await check() if inspect.iscoroutinefunction(check) else await _in_own_thread(check))
        except BaseException as failure:  # noqa: BLE001 - the border to the author's healthcheck
            return describe(failure)
        return None if is_well else "healthcheck returned False"

    async def _call(self, function: Callable[[], Any]) -> None:
        if inspect.iscoroutinefunction(function):
            await function()
        else:
            await self._in_thread(function)

    async def _in_thread(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Run something in the first of the predict threads, under the current Context."""
        future = self.executor.submit(_keep_exit, function, *arguments)
        result, failure = await asyncio.wrap_future(future)
        if failure is not None:
            raise failure
        return result


def _check_takes_nothing(setup: Callable[[], Any]) -> None:
    try:
        inspect.signature(setup).bind()
    except TypeError as error:
        message = f"setup cannot be called: {error}; servekit calls setup() without arguments, so give them defaults"
        raise PredictorError(message) from None
    except ValueError:
        pass  # something built in, which tells nothing of itself


def _keep_exit(function: Callable[..., Any], *arguments: Any) -> tuple[Any, BaseException | None]:
    """Return an exception as a value: asyncio would let `SystemExit` end the loop."""
    try:
        return function(*arguments), None
    except BaseException as error:  # noqa: BLE001 - handed on whole
        return None, error


async def _in_own_thread(function: Callable[[], Any]) -> Any:
    """Run something in a thread that nobody waits for at the end: the executor's may all be busy with predictions."""
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[tuple[Any, BaseException | None]] = loop.create_future()

    def deliver(result: tuple[Any, BaseException | None]) -> None:
        if not outcome.done():
            outcome.set_result(result)

    def run() -> None:
        result = _keep_exit(function)
        with contextlib.suppress(RuntimeError):  # the loop has closed meanwhile
            loop.call_soon_threadsafe(deliver, result)

    threading.Thread(target=contextvars.Context().run, args=(run,), name="healthcheck", daemon=True).start()
    result, failure = await outcome
    if failure is not None:
        raise failure
    return result


def _find_batch_policy(settings: WorkerSettings, signature: Signature, loaded: LoadedPredictor) -> BatchPolicy | None:
    """Return how predictions are gathered, or None if each gets a call of its own.

    Raises:
        PredictorError: Something is said of batches that cannot be.
    """
    options = find_batch_options(loaded.predict)
    if signature.is_batched:
        if settings.adapts_concurrency:
            message = (
                f"{loaded.reference} takes batches, and serve.concurrency is a range. The size of batches adapts by "
                "itself; write concurrency as a number, which is how many batches run at once (mostly 1)"
            )
            raise PredictorError(message)
        return BatchPolicy.resolve(settings.batch, options, signature.input_names, loaded.reference)
    if options is not None:
        what = "it has @batch"
    elif settings.batch != BatchLimits():
        what = "the spec has serve.batch"
    else:
        return None
    message = f"{loaded.reference} takes one prediction at a time, and {what}; annotate its inputs: `text: Batch[str]`"
    raise PredictorError(message)


def _loaded_message(
    signature: Signature, loaded: LoadedPredictor, policy: BatchPolicy | None, concurrency: int
) -> Loaded:
    settings_schema = overrides_schema()
    return Loaded(
        input_schema=msgspec.json.encode(signature.input_schema),
        output_schema=msgspec.json.encode(signature.output_schema),
        is_async=signature.is_async,
        streams=signature.streams,
        concatenates=signature.concatenates,
        uses_files=signature.uses_files,
        has_secrets=signature.has_secrets,
        has_healthcheck=loaded.has_healthcheck,
        batch_size=None if policy is None else policy.max_size,
        slots=0 if policy is None else policy.slots(concurrency),
        settings_schema=None if settings_schema is None else msgspec.json.encode(settings_schema),
    )


def _teardown_failed(error: BaseException) -> Log:
    return Log(0, "stderr", f"teardown failed:\n{author_traceback(error)}")
