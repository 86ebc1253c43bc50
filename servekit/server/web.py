"""The web side of a server: uvicorn with our application. Imported while the workers load."""

import asyncio
import contextlib
import gc
import socket
from collections.abc import Callable, Generator

import uvicorn
from structlog.typing import FilteringBoundLogger

from servekit.server.app import Application, AsgiApp
from servekit.server.connection import Connection
from servekit.server.controls import Controls
from servekit.server.listener import describe_address, describe_listener
from servekit.server.observer import ServerObserver
from servekit.server.predictions import PredictionRoutes
from servekit.server.probes import make_probes
from servekit.server.service import Service

__all__ = ["WebServer"]

_KEEP_ALIVE_SECONDS = 75
"""Longer than the 60 s for which most proxies keep idle connections: the side that reuses them closes them."""

_LAST_ANSWERS_SECONDS = 10
"""How long slow readers may still take for their answers when everything else has ended."""


class WebServer:
    """Serves HTTP for a service until it is told to stop.

    Args:
        service: What is served.
        observer: Knows whether a worker was ready once.
        log: Where lines go.
        controls: What clients may be allowed to do to the server itself.
    """

    def __init__(
        self, service: Service, observer: ServerObserver, log: FilteringBoundLogger, controls: Controls
    ) -> None:
        self._service = service
        self._controls = controls
        self._log = log
        self._rest: asyncio.Task[AsgiApp] | None = None
        probes = make_probes(service, observer)
        app = Application(PredictionRoutes(service), probes, self._load_rest, log, service.contract)
        self._server = _Server(
            uvicorn.Config(
                app,
                loop="none",
                http=Connection,
                ws="none",
                lifespan="off",
                interface="asgi3",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=_LAST_ANSWERS_SECONDS,
            )
        )

    async def run(self, listener: socket.socket) -> None:
        """Answer requests until `stop`; then let open answers finish."""
        self._log.info(f"Listening on {describe_listener(listener)}", url=describe_address(listener))
        self._rest = asyncio.create_task(self._make_rest())
        try:
            await self._server.serve(sockets=[listener])
        finally:
            self._rest.cancel()
            await self.give_up_webhooks()

    async def deliver_webhooks(self, seconds: float) -> None:
        """Wait until receivers know how predictions ended, and no longer than so many seconds."""
        await self._service.webhooks.drain(seconds)

    async def give_up_webhooks(self) -> None:
        """Send nothing more to receivers, and log what they do not know."""
        await self._service.webhooks.close()

    def stop(self) -> None:
        """Take no more connections, and let `run` come to its end."""
        self._server.should_exit = True

    async def _load_rest(self) -> AsgiApp:
        assert self._rest is not None
        return await asyncio.shield(self._rest)

    async def _make_rest(self) -> AsgiApp:
        # FastAPI takes longer to import than all the rest: it comes while the server listens already.
        make_rest = await asyncio.to_thread(_import_rest)
        rest = make_rest(self._service, self._controls)
        # What is there now stays until the end. A full collection would look at all of it again and again,
        # for tens of milliseconds each time, in which no token is sent.
        gc.freeze()
        return rest


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave signals to the server as a whole: there is more to end than connections."""
        yield


def _import_rest() -> Callable[[Service, Controls], AsgiApp]:
    from servekit.server.rest import make_rest  # noqa: PLC0415 - see `_make_rest`

    return make_rest
