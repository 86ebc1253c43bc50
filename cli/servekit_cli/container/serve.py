"""A server in a container, for as long as the command runs."""

import asyncio
import os
import sys
from collections.abc import Mapping
from typing import Final

from servekit.errors import ContainerError, EngineError
from servekit.spec import ServeSpec
from servekit_cli.border import EXIT_CODES
from servekit_cli.container.address import format_url
from servekit_cli.container.endings import End, explain_end
from servekit_cli.container.finding import find_model_image
from servekit_cli.container.gpu import decide_gpu
from servekit_cli.container.interrupts import Interrupts
from servekit_cli.container.life import LiveContainer
from servekit_cli.container.options import RunOptions
from servekit_cli.container.ownership import label_owner
from servekit_cli.container.request import INNER_PORT, ContainerRequest, Publication, new_name
from servekit_cli.container.session import run_session
from servekit_cli.container.settings import choose_mode_variable, collect_variables, override_serve
from servekit_cli.engine import Engine
from servekit_cli.terminal import say

__all__ = ["serve_image"]

_FORCED_EXIT_CODE: Final = 1
_FIRST_FREE_PORT: Final = 1024
_STOP_MARGIN_SECONDS: Final = 10.0
"""What the server may take on top of its own grace, for the end of its workers."""


def serve_image(
    engine: Engine,
    name: str,
    options: RunOptions,
    flags: Mapping[str, object] | None = None,
    *,
    train: bool | None = None,
) -> int:
    """Serve an image in a container until SIGINT, SIGTERM or `POST /shutdown`.

    The first signal lets predictions finish for `serve.shutdown_grace`, as a server without a container
    does; a second one ends everything at once. The container is gone when this returns or raises; should
    this process be killed, it ends by itself.

    Args:
        engine: Where the container runs.
        name: The image, built by servekit.
        options: How the container is run.
        flags: `serve` settings by `Setting.name`; they win over variables, and these over the image's spec.
        train: Whether trainings are served and no predictions; None leaves it to the variable.

    Returns:
        The exit code: 0 after an orderly end, 1 when a second signal cut it short, and that of the server
        if it ended by itself.

    Raises:
        UsageError: A flag, a variable or an option does not fit.
        ImageError: There is no such image, or it was not built by servekit.
        ListenError: The port is taken, or the address is not the host's.
        EngineError: The engine went away.
        ContainerError: The container could not be started, or was killed.
    """
    image = find_model_image(engine, name, pull=options.pull)
    environ = {**os.environ, **options.environment}
    serve = override_serve(image.serve, environ, flags or {})
    publication = _publish(serve)
    request = ContainerRequest(
        name=new_name("serve"),
        image=image.id,
        labels=label_owner(),
        environment={
            **_terminal_variables(),
            **options.environment,
            **collect_variables(environ, flags or {}),
            **choose_mode_variable(image, environ, train),
            "SERVEKIT_HOST": "0.0.0.0",  # noqa: S104 - inside; what is reached from outside is what is published
            "SERVEKIT_PORT": str(publication.inner_port),
        },
        publication=publication,
        options=options,
        has_gpu=decide_gpu(engine, options.gpus, is_wanted=image.wants_gpu),
    )
    return asyncio.run(_Server(engine, name, request, serve.shutdown_grace).run())


def _publish(serve: ServeSpec) -> Publication:
    """Choose the ports: the same one inside and outside where that can be, so that what the server logs is true."""
    inner_port = serve.port if serve.port >= _FIRST_FREE_PORT else INNER_PORT
    return Publication(inner_port, serve.host, serve.port)


def _terminal_variables() -> dict[str, str]:
    """Let the server log as it would on this terminal, which it does not see."""
    if not sys.stderr.isatty():
        return {}
    colour = {} if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" else {"FORCE_COLOR": "1"}
    return {"SERVEKIT_LOG_FORMAT": "console", **colour}


class _Server:
    """One run of `serve_image`, once all is known that can be known without a container."""

    def __init__(self, engine: Engine, image: str, request: ContainerRequest, grace_seconds: float) -> None:
        self._engine = engine
        self._image = image
        self._request = request
        self._grace_seconds = grace_seconds + _STOP_MARGIN_SECONDS

    async def run(self) -> int:
        container = LiveContainer(self._engine, self._request, _pass_on, grace_seconds=self._grace_seconds)

        def conclude(interrupts: Interrupts) -> int:
            is_orderly = container.ended.done() and container.ended.result() == 0
            return 0 if is_orderly and not interrupts.second.is_set() else _FORCED_EXIT_CODE

        return await run_session(
            self._engine,
            container,
            self._work(container),
            conclude,
            cancel_grace_seconds=self._grace_seconds,
        )

    async def _work(self, container: LiveContainer) -> int:
        port = await container.start()
        if port is not None:
            url = format_url(self._engine, self._request.publication.host, port)
            say(f"Serving {self._image} at {url} in the container {self._request.name}")
        return self._conclude(await container.wait_for_end())

    def _conclude(self, end: End | None) -> int:
        """Say how a server ended that was not asked to."""
        if end is None:
            raise EngineError("The engine went away, and the server with it.\nSee whether it still runs: docker info")
        if end.exit_code in EXIT_CODES and not end.ran_out_of_memory:
            return end.exit_code  # the server's own, which has said why
        raise ContainerError(f"The container {explain_end(end, self._request.options.memory_bytes)}.")


def _pass_on(source: str, data: bytes) -> None:
    """Write output as it is, past buffers whose locks a thread might hold at the end of the process."""
    descriptor = 1 if source == "stdout" else 2
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
