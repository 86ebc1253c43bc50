"""Run a predictor's workers for the length of one command."""

import asyncio
import signal
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from servekit.errors import InputError, PredictionFailedError, SetupError, WorkerDiedError
from servekit.runtime.handle import WorkerHandle
from servekit.runtime.model import Model
from servekit.runtime.observer import PoolObserver
from servekit.runtime.pool import Pool
from servekit.runtime.prediction import EventKind, Prediction, Status
from servekit.spec import Mode, Range, Spec, UploadSpec
from servekit_cli.conventions import find_conventions
from servekit_cli.following import Event, follow
from servekit_cli.hints import add_package_hint
from servekit_cli.inputs import InputRequest
from servekit_cli.model_io import describe_failure, explained, fit_input
from servekit_cli.outputs import Outcome
from servekit_cli.targets import Target
from servekit_cli.terminal import Progress, show_progress

__all__ = ["inspect_model", "predict_once"]

T = TypeVar("T")

_TERMINATED = 128 + signal.SIGTERM
_TEARDOWN_SECONDS = 30.0
"""How long `teardown` may take at most; as long as servers give predictions by default."""


def inspect_model(spec: Spec, python: Path) -> Model:
    """Import a predictor and say what it takes and gives; its setup is not run.

    Raises:
        PredictorError: The spec names no predictor that can be used.
        SetupError: Its module could not be imported.
    """

    async def inspect() -> Model:
        with show_progress("Importing the predictor") as progress:
            async with _open_pool(spec, python, _Observer(progress)) as pool:
                return await pool.loaded()

    return _run_until_signal(inspect)


def predict_once(spec: Spec, python: Path, request: InputRequest, target: Target) -> None:
    """Run one prediction, or one training, and write its output as it comes, to a file or to stdout.

    The input is checked before `setup` is run. An interrupt cancels the prediction, and ends all
    processes, before it travels on.

    Raises:
        InputError: The input does not fit the predictor.
        PredictionFailedError: The prediction failed or ran out of time.
        WorkerDiedError: The predictor's process ended during the prediction.
        UsageError: The output cannot go where `-o` says.
        SetupError: The predictor could not be made ready.
    """
    conventions = find_conventions(spec.dialect, spec.mode)
    request = conventions.read(request)

    async def predict() -> None:
        with show_progress("Importing the predictor") as progress:
            observer = _Observer(progress)
            async with _open_pool(spec, python, observer) as pool:
                model = await pool.loaded()
                fitted = fit_input(request, model.input_schema)
                conventions.check_target(request, target, model.output_schema)
                progress.update("Setting up the predictor")
                pool.set_up()
                await pool.ready()
                progress.update("Training" if spec.mode == "train" else "Predicting")
                context = dict(request.context) or None
                prediction = pool.new_prediction(fitted.raw, uploads=fitted.uploads, context=context)
                with conventions.make_writer(request, target, model) as writer:
                    pool.submit(prediction)
                    await follow(_PoolPrediction(pool, prediction), writer if model.streams else None, progress)
                    with explained(request, model.input_schema):
                        _refuse_bad_input(prediction)
                    writer.finish(_outcome(prediction))
                    _raise_failure(spec.mode, prediction, observer)

    _run_until_signal(predict)


def _run_until_signal(body: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine to its end; SIGTERM cancels it as Ctrl-C does, so that it can clean up."""
    is_terminated = False

    async def run() -> T:
        task = asyncio.current_task()
        assert task is not None

        def terminate() -> None:
            nonlocal is_terminated
            is_terminated = True
            task.cancel()

        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, terminate)
        return await body()

    try:
        return asyncio.run(run())
    except asyncio.CancelledError:
        if is_terminated:
            sys.exit(_TERMINATED)
        raise


@asynccontextmanager
async def _open_pool(spec: Spec, python: Path, observer: "_Observer") -> AsyncGenerator[Pool]:
    """Run one worker, in a process of its own, until the block ends; files of outputs are not uploaded."""
    serve = spec.serve.model_copy(
        update={
            "workers": Range(1, 1),
            "gpus_per_worker": None,
            "isolation": "process",
            "tracebacks": True,
            "upload": UploadSpec(),
        }
    )
    pool = Pool(spec.model_copy(update={"serve": serve}), python=str(python), observer=observer)
    grace_seconds, is_urgent = 0.0, False
    try:
        await pool.start()
        yield pool
        # Meant for predictions, which are over, and long where those are: nobody waits that long for a thread.
        grace_seconds = min(serve.shutdown_grace, _TEARDOWN_SECONDS)
    except asyncio.CancelledError:
        observer.progress.update("Stopping")
        task = asyncio.current_task()
        is_urgent = task is not None and task.cancelling() > 1
        grace_seconds = serve.cancel_grace
        raise
    except SetupError as error:
        raise add_package_hint(error) from None
    finally:
        if is_urgent:
            # By a second Ctrl-C, which wants no waiting. It has also ended the tasks that would see the worker go.
            pool.abandon()
        else:
            await _close(pool, grace_seconds)


async def _close(pool: Pool, grace_seconds: float) -> None:
    try:
        await pool.close(grace_seconds)
    except BaseException:
        # A second Ctrl-C: nothing is waited for any more, and nothing is left behind all the same.
        pool.abandon()
        raise


class _Observer(PoolObserver):
    """Shows what the predictor prints outside predictions, and remembers why its process ended."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.death: str | None = None

    def worker_gone(self, worker: WorkerHandle, reason: str) -> None:  # noqa: ARG002 - the interface
        """Remember it; the prediction that it ends gets the same text as its error."""
        self.death = reason

    def worker_output(self, worker: WorkerHandle, source: str, text: str) -> None:  # noqa: ARG002 - the interface
        """Pass it to stderr, whichever of the two it was meant for."""
        self.progress.write(text)


class _PoolPrediction:
    """A prediction in a pool of this process."""

    def __init__(self, pool: Pool, prediction: Prediction) -> None:
        self._pool = pool
        self._prediction = prediction

    async def events(self) -> AsyncIterator[Event]:
        """Give what it does, to its end."""
        prediction, seen = self._prediction, 0
        while True:
            while seen < len(prediction.kinds):
                yield EventKind(prediction.kinds[seen]), prediction.data[seen]
                seen += 1
            if prediction.is_done:
                return
            await prediction.changed(seen)

    async def cancel(self) -> None:
        """Ask it to stop."""
        self._pool.cancel(self._prediction, "canceled: interrupted")


def _refuse_bad_input(prediction: Prediction) -> None:
    if prediction.problems is not None:
        raise InputError(msgspec.json.decode(prediction.problems))


def _outcome(prediction: Prediction) -> Outcome:
    output = msgspec.Raw(prediction.output)
    return Outcome(prediction.status, output, prediction.error, prediction.metrics)


def _raise_failure(mode: Mode, prediction: Prediction, observer: _Observer) -> None:
    if prediction.status is Status.SUCCEEDED:
        return
    text = describe_failure(mode, prediction.status, prediction.error)
    if prediction.error is not None and prediction.error == observer.death:
        raise WorkerDiedError(text)
    raise PredictionFailedError(text)
