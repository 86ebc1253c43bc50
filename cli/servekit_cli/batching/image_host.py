"""Rows, run in a container of an image."""

import os
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final

from servekit.spec import MODE_VARIABLE, ServeSpec
from servekit_cli.batching.arguments import BatchArguments
from servekit_cli.batching.hosts import OpenHost
from servekit_cli.batching.url_target import UrlTarget
from servekit_cli.container.address import is_remote
from servekit_cli.container.client import KEEP_ALIVE_SECONDS
from servekit_cli.container.finding import find_model_image
from servekit_cli.container.gpu import decide_gpu
from servekit_cli.container.image import ModelImage
from servekit_cli.container.options import RunOptions
from servekit_cli.container.ownership import label_owner, sweep
from servekit_cli.container.request import INNER_PORT, ContainerRequest, Publication, new_name
from servekit_cli.container.settings import collect_variables, override_serve
from servekit_cli.container.standing import open_server
from servekit_cli.container.threads import call_in_thread
from servekit_cli.container_flags import check_image, read_run_options
from servekit_cli.engine import Engine, connect
from servekit_cli.schemas import Schema
from servekit_cli.terminal import show_progress

__all__ = ["ImageHost", "find_image_host"]

_MAX_BODY_BYTES: Final = 2_000_000_000
"""Files travel inside a row; a model's own limit is for strangers."""


def find_image_host(arguments: BatchArguments) -> "ImageHost":
    """Read what the command says of an image and its container.

    Raises:
        UsageError: A flag cannot be read, or the name is that of a project.
    """
    assert arguments.image is not None
    check_image(arguments.image, arguments.file)
    options = read_run_options(
        env=arguments.env,
        env_file=arguments.env_file,
        gpus=arguments.gpus,
        memory=None,
        cpus=None,
        volume=arguments.volume,
        pull=arguments.pull,
    )
    return ImageHost(arguments.image, options, arguments.overrides, arguments.rows_concurrency)


@dataclass(frozen=True)
class ImageHost:
    """A container, for as long as rows are run in it.

    Attributes:
        name: The image.
        options: What the user said of the container.
        settings: What overrides the image's `serve` section, and the author's own settings.
        concurrency: How many rows run at a time, at most; None if that is not known.
    """

    name: str
    options: RunOptions
    settings: Mapping[str, object]
    concurrency: int | None
    grace_seconds: float = 30.0

    @asynccontextmanager
    async def open(self, write: Callable[[str], None]) -> AsyncGenerator[OpenHost]:
        """Start the container.

        Raises:
            ImageError: There is no such image, or it was not built by servekit.
            EngineError: The engine cannot be reached, or went away.
            ContainerError: The container could not be started, or ended too early.
            SetupError: The predictor could not be made ready.
        """
        with connect() as engine:
            image = await call_in_thread(lambda: find_model_image(engine, self.name, pull=self.options.pull))
            await call_in_thread(lambda: sweep(engine))
            model = image.find_model("predict")
            serve = override_serve(image.serve, {**os.environ, **self.options.environment}, self.settings)
            request = self._request(engine, image, serve)
            async with AsyncExitStack() as stack:
                with show_progress("Starting the container"):
                    url = await stack.enter_async_context(open_server(engine, request, serve, write))
                target = UrlTarget(url, concurrency=self.concurrency, is_local=True)
                await stack.enter_async_context(target)
                yield OpenHost(target, model.input_schema, model.output_schema)

    def fetch_schema(self) -> Schema:
        """Read it from the image's label."""
        with connect() as engine:
            return find_model_image(engine, self.name, pull=self.options.pull).find_model("predict").input_schema

    def _request(self, engine: Engine, image: ModelImage, serve: ServeSpec) -> ContainerRequest:
        environ = {**os.environ, **self.options.environment}
        return ContainerRequest(
            name=new_name("batch"),
            image=image.id,
            labels=label_owner(),
            environment={
                **self.options.environment,
                **collect_variables(environ, self.settings),
                **_fixed_variables(serve),
            },
            # On another machine loopback would be out of reach.
            publication=Publication(INNER_PORT, "" if is_remote(engine) else "127.0.0.1", 0),
            options=self.options,
            has_gpu=decide_gpu(engine, self.options.gpus, is_wanted=image.wants_gpu),
            checks_health=False,
        )


def _fixed_variables(serve: ServeSpec) -> dict[str, str]:
    """What the server in the container must do for this command to understand it."""
    return {
        "SERVEKIT_HOST": "0.0.0.0",  # noqa: S104 - inside; what is reached from outside is what is published
        "SERVEKIT_PORT": str(INNER_PORT),
        MODE_VARIABLE: "false",
        "SERVEKIT_TRACEBACKS": "true",
        "SERVEKIT_LOG_FORMAT": "json",
        "SERVEKIT_LOG_LEVEL": "info",
        "SERVEKIT_KEEP_ALIVE": f"{KEEP_ALIVE_SECONDS}s",
        "SERVEKIT_UPLOAD_URL": "none",  # files of the output come here
        "SERVEKIT_MAX_BODY": str(max(serve.max_body, _MAX_BODY_BYTES)),
    }
