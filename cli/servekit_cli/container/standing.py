"""A server in a container that takes any number of predictions, until nobody wants any more of them."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Final

from servekit.errors import ContainerError, EngineError, SetupError
from servekit.spec import ServeSpec
from servekit_cli.container.address import format_url
from servekit_cli.container.client import ModelClient
from servekit_cli.container.endings import explain_end
from servekit_cli.container.life import LiveContainer
from servekit_cli.container.request import ContainerRequest
from servekit_cli.container.serverlog import ServerLog
from servekit_cli.container.threads import in_loop
from servekit_cli.engine import Engine
from servekit_cli.hints import add_package_hint

__all__ = ["open_server"]

_SETUP_MARGIN_SECONDS: Final = 60.0
"""The server gives up on a setup by itself; a container that has said nothing by then hangs."""


@asynccontextmanager
async def open_server(
    engine: Engine, request: ContainerRequest, serve: ServeSpec, write: Callable[[str], None]
) -> AsyncGenerator[str]:
    """Start a container, wait until its server is ready, give its URL, and remove it at the end of the block.

    The removal is not given up when the block, or the removal itself, is cancelled; it only waits for nothing then.

    Args:
        engine: Where it runs.
        request: What it is.
        serve: Its settings.
        write: Takes what it prints until it is ready; what it prints then is part of the predictions.

    Raises:
        EngineError: The engine went away.
        ContainerError: The container could not be started, or ended before the block did.
        SetupError: The predictor could not be made ready.
    """
    is_ready = False
    log = ServerLog(lambda text: None if is_ready else write(text))
    container = LiveContainer(engine, request, in_loop(log.feed), grace_seconds=serve.shutdown_grace)
    hurry = asyncio.Event()
    try:
        url = await _start(engine, container, serve, log)
        is_ready = True
        yield url
        if container.ended.done():
            raise await _explain_death(container, log, "while rows were run")
    except asyncio.CancelledError:
        hurry.set()
        raise
    finally:
        await _end(container, hurry)
        log.close()


async def _start(engine: Engine, container: LiveContainer, serve: ServeSpec, log: ServerLog) -> str:
    port = await container.start()
    if port is None:
        raise await _explain_death(container, log, "at its start")
    url = format_url(engine, "", port)
    seconds = serve.setup_timeout + _SETUP_MARGIN_SECONDS
    async with ModelClient(url) as client:
        try:
            async with asyncio.timeout(seconds):
                is_ready = await client.wait_until_ready(container.ended)
        except TimeoutError:
            raise ContainerError(f"The container was not ready within {seconds:.0f} seconds.\n{log.tail}") from None
        except SetupError as error:
            raise add_package_hint(error) from None
    if not is_ready:
        raise await _explain_death(container, log, "during setup")
    return url


async def _end(container: LiveContainer, hurry: asyncio.Event) -> None:
    ending = asyncio.ensure_future(container.end(hurry=hurry))
    while not ending.done():
        try:
            await asyncio.shield(ending)
        except asyncio.CancelledError:
            hurry.set()


async def _explain_death(container: LiveContainer, log: ServerLog, when: str) -> Exception:
    end = await container.wait_for_end()
    if end is None:
        return EngineError(f"The engine went away {when}.\nSee whether it still runs: docker info")
    log.close()
    said = f"\nThe last that it said:\n{log.tail}" if log.tail else " It had said nothing."
    return ContainerError(f"The container {explain_end(end, None)}, {when}.{said}")
