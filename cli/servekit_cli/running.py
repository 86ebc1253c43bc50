"""Run a predictor's workers for the length of one command."""

import asyncio
import signal
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from servekit.errors import InputError, PredictionFailedError
from servekit.runtime.handle import WorkerHandle
from servekit.runtime.model import Model
from servekit.runtime.observer import PoolObserver
from servekit.runtime.pool import Pool
from servekit.runtime.prediction import EventKind, Prediction, Status
from servekit.schema import InputChecker
from servekit.spec import Spec
from servekit_cli.inputs import InputRequest
from servekit_cli.outputs import OutputWriter
from servekit_cli.terminal import Progress, show_progress

__all__ = ["inspect_model", "predict_once"]

T = TypeVar("T")

_TERMINATED = 128 + signal.SIGTERM


def inspect_model(spec: Spec, python: Path) -> Model:
    """Import a predictor and say what it takes and gives; its setup is not run.

    Raises:
        PredictorError: The spec names no predictor that can be used.
        SetupError: Its module could not be imported.
    """

    async def inspect() -> Model:
        with show_progress("Importing the predictor") as progress:
            async with _open_pool(spec, python, progress) as pool:
                return await pool.loaded()

    return _run_until_signal(inspect)


def predict_once(spec: Spec, python: Path, request: InputRequest, target: Path | None) -> None:
    """Run one prediction, and write its output as it comes, to a file or to stdout.

    The input is checked before `setup` is run. An interrupt cancels the prediction, and ends all
    processes, before it travels on.

    Raises:
        InputError: The input does not fit the predictor.
        PredictionFailedError: The prediction failed or ran out of time.
        SetupError: The predictor could not be made ready.
    """

    async def predict() -> None:
        with show_progress("Importing the predictor") as progress:
            async with _open_pool(spec, python, progress) as pool:
                model = await pool.loaded()
                fitted = request.fit(model.input_schema)
                InputChecker(model.input_schema).check(fitted.raw)
                progress.update("Setting up the predictor")
                pool.set_up()
                await pool.ready()
                progress.update("Predicting")
                prediction = pool.new_prediction(fitted.raw, uploads=fitted.uploads)
                with _make_writer(model, target) as writer:
                    pool.submit(prediction)
                    await _follow(prediction, writer, progress)

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
async def _open_pool(spec: Spec, python: Path, progress: Progress) -> AsyncGenerator[Pool]:
    """Run one worker, in a process of its own, until the block ends."""
    serve = spec.serve.model_copy(update={"workers": 1, "isolation": "process", "tracebacks": True})
    observer = _SetupOutput(progress)
    pool = Pool(spec.model_copy(update={"serve": serve}), python=str(python), observer=observer)
    grace_seconds = 0.0
    try:
        await pool.start()
        yield pool
        grace_seconds = serve.shutdown_grace
    except asyncio.CancelledError:
        progress.update("Stopping")
        grace_seconds = serve.cancel_grace
        raise
    finally:
        await pool.close(grace_seconds)


class _SetupOutput(PoolObserver):
    """Shows what the predictor prints outside predictions."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def worker_output(self, worker: WorkerHandle, source: str, text: str) -> None:  # noqa: ARG002 - the interface
        """Pass it to stderr, whichever of the two it was meant for."""
        self._progress.write(text)


def _make_writer(model: Model, target: Path | None) -> OutputWriter:
    return OutputWriter(model.output_schema, streams=model.streams, concatenates=model.concatenates, target=target)


async def _follow(prediction: Prediction, writer: OutputWriter, progress: Progress) -> None:
    """Hand on what a prediction does while it does it."""
    seen = 0
    while True:
        while seen < len(prediction.kinds):
            kind, data = prediction.kinds[seen], prediction.data[seen]
            seen += 1
            if kind == EventKind.OUTPUT:
                progress.stop()
                writer.write_item(data)
            elif kind == EventKind.LOG:
                progress.write(msgspec.json.decode(data)["data"])
        if prediction.is_done:
            break
        await prediction.changed(seen)
    progress.stop()
    _raise_failure(prediction)
    writer.finish(prediction.output)


def _raise_failure(prediction: Prediction) -> None:
    if prediction.status is Status.SUCCEEDED:
        return
    if prediction.problems is not None:
        raise InputError(msgspec.json.decode(prediction.problems))
    raise PredictionFailedError(f"The prediction {prediction.status}: {prediction.error}")
