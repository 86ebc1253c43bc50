"""One prediction, or one training, in a container that lives for it alone."""

import asyncio
import os
import secrets
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any, Final

import httpx

from servekit.errors import ContainerError, EngineError, PredictionFailedError, SetupError, WorkerDiedError
from servekit.runtime.model import Model
from servekit.runtime.prediction import Status
from servekit.spec import MODE_VARIABLE, Mode, ServeSpec
from servekit_cli.container.address import format_url, is_remote
from servekit_cli.container.client import KEEP_ALIVE_SECONDS, ModelClient
from servekit_cli.container.endings import explain_end, explain_memory
from servekit_cli.container.finding import find_model_image
from servekit_cli.container.gpu import decide_gpu
from servekit_cli.container.interrupts import Interrupts
from servekit_cli.container.life import LiveContainer
from servekit_cli.container.options import RunOptions
from servekit_cli.container.ownership import label_owner
from servekit_cli.container.request import INNER_PORT, ContainerRequest, Publication, new_name
from servekit_cli.container.serverlog import ServerLog
from servekit_cli.container.session import run_session
from servekit_cli.container.settings import collect_variables, override_serve
from servekit_cli.container.threads import in_loop
from servekit_cli.container.uploads import RequestBody
from servekit_cli.conventions import find_conventions
from servekit_cli.engine import Engine
from servekit_cli.following import follow
from servekit_cli.hints import add_package_hint
from servekit_cli.inputs import InputRequest
from servekit_cli.model_io import describe_failure, explained, fit_input
from servekit_cli.outputs import Outcome, Writer
from servekit_cli.targets import Target
from servekit_cli.terminal import Progress, show_progress

__all__ = ["predict_image"]

_SETUP_MARGIN_SECONDS: Final = 60.0
"""The server gives up on a setup by itself; a container that has said nothing by then hangs."""

_LAST_EVENTS_SECONDS: Final = 1.0

_DEATH_SECONDS: Final = 5.0
"""How long the engine may take to tell of a container's end after the connection to it has broken off."""


def predict_image(
    engine: Engine,
    name: str,
    request: InputRequest,
    target: Target,
    options: RunOptions,
    settings: Mapping[str, object] | None = None,
    mode: Mode = "predict",
) -> None:
    """Run one prediction, or one training, in a container of an image, and write its output as it comes.

    The input is checked against the image's label before the container is made. The container is gone
    when this returns or raises; should this process be killed, it ends by itself.

    Args:
        engine: Where the container runs.
        name: The image, built by servekit.
        request: What the command says of the input.
        target: Where the output goes.
        options: How the container is run.
        settings: What overrides the image's `serve` section, by `Setting.name`.
        mode: Whether it predicts or trains.

    Raises:
        InputError: The input does not fit the model.
        UsageError: The output cannot go where `-o` says, an option does not fit, or the image has no such mode.
        ImageError: There is no such image, or it was not built by servekit.
        EngineError: The engine went away.
        ContainerError: The container could not be started, or ended before the prediction did.
        SetupError: The predictor could not be made ready.
        PredictionFailedError: The prediction failed or ran out of time.
        WorkerDiedError: The predictor's process ended during the prediction.
    """
    image = find_model_image(engine, name, pull=options.pull)
    model, conventions = image.find_model(mode), find_conventions(image.dialect, mode)
    request = conventions.read(request)
    fitted = fit_input(request, model.input_schema)
    conventions.check_target(request, target, model.output_schema)
    environ, settings = {**os.environ, **options.environment}, settings or {}
    serve = override_serve(image.serve, environ, settings)
    body = RequestBody(fitted, model.input_schema, request.context)
    container = ContainerRequest(
        name=new_name("predict"),
        image=image.id,
        labels=label_owner(),
        environment={
            **options.environment,
            **collect_variables(environ, settings),
            **_fixed_variables(serve, body, mode),
        },
        # On another machine loopback would be out of reach.
        publication=Publication(INNER_PORT, "" if is_remote(engine) else "127.0.0.1", 0),
        options=options,
        has_gpu=decide_gpu(engine, options.gpus, is_wanted=image.wants_gpu),
        checks_health=False,
    )
    open_writer = partial(conventions.make_writer, request, target, model)
    with explained(request, model.input_schema), show_progress("Starting the container") as progress:
        asyncio.run(_Prediction(engine, model, mode, serve, container, body, open_writer, progress).run())


def _fixed_variables(serve: ServeSpec, body: RequestBody, mode: Mode) -> dict[str, str]:
    """What the server in the container must do for this command to understand it."""
    return {
        "SERVEKIT_HOST": "0.0.0.0",  # noqa: S104 - inside; what is reached from outside is what is published
        "SERVEKIT_PORT": str(INNER_PORT),
        MODE_VARIABLE: "true" if mode == "train" else "false",
        "SERVEKIT_WORKERS": "1",
        "SERVEKIT_ISOLATION": "process",
        "SERVEKIT_TRACEBACKS": "true",
        "SERVEKIT_LOG_FORMAT": "json",
        "SERVEKIT_LOG_LEVEL": "info",
        "SERVEKIT_KEEP_ALIVE": f"{KEEP_ALIVE_SECONDS}s",
        # Of a Cog model the events are asked for once it runs, and none of them may be gone by then.
        "SERVEKIT_STREAM_HISTORY": "none",
        "SERVEKIT_UPLOAD_URL": "none",  # files of the output come here
        "SERVEKIT_MAX_BODY": str(max(serve.max_body, body.max_bytes)),
    }


class _Prediction:
    """One run of `predict_image`, once all is known that can be known without a container."""

    def __init__(
        self,
        engine: Engine,
        model: Model,
        mode: Mode,
        serve: ServeSpec,
        container: ContainerRequest,
        body: RequestBody,
        open_writer: Callable[[], Writer],
        progress: Progress,
    ) -> None:
        self._engine = engine
        self._model = model
        self._mode: Mode = mode
        self._serve = serve
        self._request = container
        self._body = body
        self._open_writer = open_writer
        self._progress = progress
        self._log = ServerLog(progress.write)

    async def run(self) -> None:
        container = LiveContainer(
            self._engine, self._request, in_loop(self._log.feed), grace_seconds=self._serve.shutdown_grace
        )
        work = self._work(container)
        outcome = await run_session(
            self._engine, container, work, Interrupts.leave, cancel_grace_seconds=self._serve.cancel_grace
        )
        self._log.close()
        self._raise_failure(outcome, container)

    async def _work(self, container: LiveContainer) -> Outcome:
        try:
            port = await container.start()
            if port is None:
                raise await self._explain_death(container, "at its start")
            async with ModelClient(format_url(self._engine, "", port)) as client:
                await self._wait_until_ready(client, container)
                return await self._watch(container, self._predict(client))
        finally:
            self._progress.update("Stopping")

    async def _wait_until_ready(self, client: ModelClient, container: LiveContainer) -> None:
        self._progress.update("Setting up the predictor")
        seconds = self._serve.setup_timeout + _SETUP_MARGIN_SECONDS
        try:
            async with asyncio.timeout(seconds):
                is_ready = await client.wait_until_ready(container.ended)
        except TimeoutError:
            raise ContainerError(
                f"The container was not ready within {seconds:.0f} seconds.\n{self._log.tail}"
            ) from None
        except SetupError as error:
            raise add_package_hint(SetupError(f"{error}{self._explain_memory(container)}")) from None
        if not is_ready:
            raise await self._explain_death(container, "during setup")

    async def _watch(self, container: LiveContainer, predicting: Coroutine[Any, Any, Outcome]) -> Outcome:
        """Wait for a prediction, and no longer than there is a container that could make it."""
        task = asyncio.create_task(predicting)
        either: set[asyncio.Future[Any]] = {task, container.ended}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            # What it sent before its end may still be on its way.
            await asyncio.wait({task}, timeout=_LAST_EVENTS_SECONDS)
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.wait({task})
            raise
        try:
            if task.done():
                return task.result()
        except httpx.TransportError as error:
            raise await self._explain_silence(container, error) from error
        task.cancel()
        raise await self._explain_death(container, "during the prediction")

    async def _predict(self, client: ModelClient) -> Outcome:
        self._progress.update("Training" if self._mode == "train" else "Predicting")
        prediction = client.predict(secrets.token_hex(8), self._body, self._mode)
        with self._open_writer() as writer:
            await follow(prediction, writer if self._model.streams else None, self._progress)
            outcome = prediction.outcome
            assert outcome is not None, "events end with the outcome, or raise"
            if outcome.status is Status.FAILED:
                await prediction.refuse_bad_input()
            writer.finish(outcome)
            return outcome

    async def _explain_silence(self, container: LiveContainer, error: httpx.TransportError) -> Exception:
        await asyncio.wait({container.ended}, timeout=_DEATH_SECONDS)
        if container.ended.done():
            return await self._explain_death(container, "during the prediction")
        return ContainerError(f"The connection to the container broke off: {error!r}")

    async def _explain_death(self, container: LiveContainer, when: str) -> Exception:
        end = await container.wait_for_end()
        if end is None:
            return EngineError(f"The engine went away {when}.\nSee whether it still runs: docker info")
        self._log.close()
        why = explain_end(end, self._request.options.memory_bytes)
        return ContainerError(f"The container {why}, {when}.{_quote(self._log.tail)}")

    def _raise_failure(self, outcome: Outcome, container: LiveContainer) -> None:
        if outcome.status is Status.SUCCEEDED:
            return
        text = describe_failure(self._mode, outcome.status, outcome.error)
        if outcome.error in self._log.deaths:
            raise WorkerDiedError(text + self._explain_memory(container))
        raise PredictionFailedError(text)

    def _explain_memory(self, container: LiveContainer) -> str:
        if not container.ran_out_of_memory:
            return ""
        return f"\nThe container ran out of memory; {explain_memory(self._request.options.memory_bytes)}."


def _quote(tail: str) -> str:
    return f"\nThe last that it said:\n{tail}" if tail else " It had said nothing."
