"""A server from start to end: workers first, then the web side, and an orderly end of both.

Whatever takes long to import is imported while the workers load theirs, so this module is light.
"""

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import Callable
from functools import cache, partial
from typing import TYPE_CHECKING

from servekit.errors import ServekitError
from servekit.runtime.observer import join_observers
from servekit.runtime.pool import Pool
from servekit.server.lines import LineWriter
from servekit.server.listener import open_listener
from servekit.server.metrics.tally import Tally
from servekit.server.observer import ServerObserver
from servekit.server.reloading import Changes, Reloader
from servekit.server.signals import Signals
from servekit.server.webhooks.credentials import WebhookCredentials
from servekit.spec import ServeSpec, Spec

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from servekit.server.web import WebServer

__all__ = ["serve"]

_FORCED_EXIT_CODE = 1
_FORCED_SECONDS = 2.0
_LAST_WEBHOOKS_SECONDS = 2.0
"""How long receivers may take to learn of predictions that used up all of the grace."""

_LAST_LINES_SECONDS = 1.0
"""How long the end waits for somebody to read the last lines of the log."""


def serve(
    spec: Spec, *, python: str = sys.executable, changes: Changes | None = None, minds_sigterm: bool = True
) -> int:
    """Serve a spec until SIGINT, SIGTERM or `POST /shutdown`.

    The first signal turns readiness off, lets predictions finish and their webhooks be delivered for
    `serve.shutdown_grace`, cancels the rest and runs `teardown`. A second one ends everything at once. SIGHUP
    brings in new code; in a terminal it says that the terminal was closed, and counts as a signal to end.

    Args:
        spec: What to serve, with all overrides applied.
        python: The interpreter for the workers.
        changes: When the project's files change; the workers are then replaced without a gap.
        minds_sigterm: Whether SIGTERM ends it; else it is ignored.

    Returns:
        The exit code: 0 after an orderly end, 1 when a second signal cut it short.

    Raises:
        ListenError: The port is taken, or the address is not this machine's. Nothing was started.
        UsageError: A variable with a secret for webhooks does not have the form it should.
    """
    credentials = WebhookCredentials.from_environ(os.environ)
    listener = open_listener(spec.serve.host, spec.serve.port, stall_seconds=spec.serve.stall_timeout)
    run = _Run(spec, python, changes, credentials, minds_sigterm=minds_sigterm)
    with listener, asyncio.Runner(loop_factory=_loop_factory()) as runner:
        code = runner.run(run.run(listener))
    run.leave(code)
    return code


class _Run:
    """One server's life."""

    def __init__(
        self, spec: Spec, python: str, changes: Changes | None, credentials: WebhookCredentials, *, minds_sigterm: bool
    ) -> None:
        self._spec = spec
        self._changes = changes
        self._credentials = credentials
        self._minds_sigterm = minds_sigterm
        self._writer = LineWriter()
        self._log = cache(partial(_make_log, spec.serve, self._writer))
        self._observer = ServerObserver(self._log)
        self._tally = Tally()
        # Counted first, so that who reads a line of the log finds in the metrics what it tells.
        self._pool = Pool(spec, python=python, observer=join_observers(self._tally, self._observer))
        self._reloader = Reloader(self._pool, self._observer, self._log)

    async def run(self, listener: socket.socket) -> int:
        """Serve until told to stop, and return the exit code."""
        with Signals(minds_sigterm=self._minds_sigterm) as signals:
            try:
                await self._pool.start()
                self._pool.set_up()
                return await self._serve(listener, signals)
            finally:
                await self._pool.close(0)  # after an orderly end there is nothing left to close
                self._writer.flush(_LAST_LINES_SECONDS)

    def leave(self, code: int) -> None:
        """End the process now if code that would not stop still runs in its threads; Python would wait for them."""
        if self._pool.has_abandoned_threads:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    async def _serve(self, listener: socket.socket, signals: Signals) -> int:
        make_web = await asyncio.to_thread(_import_web)
        for warning in self._spec.warnings:
            self._log().warning(warning)
        reload = self._reloader.reload
        parts = (self._spec, self._pool, self._observer, self._tally, self._log())
        web = make_web(*parts, signals.request, reload, self._credentials)
        serving = asyncio.create_task(web.run(listener))
        reloading = asyncio.create_task(self._reloader.follow(signals.reload, self._changes))
        stopping = asyncio.create_task(signals.first.wait())
        try:
            await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if serving.done():
                await serving  # it does not end by itself: this raises what ended it
            return await self._stop(web, serving, signals)
        finally:
            for task in (stopping, reloading):
                task.cancel()

    async def _stop(self, web: "WebServer", serving: asyncio.Task[None], signals: Signals) -> int:
        grace = self._spec.serve.shutdown_grace
        self._observer.is_stopping = True
        self._log().info("shutting down; predictions may finish, a second signal ends at once", grace=grace)
        orderly = asyncio.create_task(self._stop_orderly(web, serving))
        forced = asyncio.create_task(signals.second.wait())
        await asyncio.wait({orderly, forced}, return_when=asyncio.FIRST_COMPLETED)
        forced.cancel()
        if orderly.done():
            await orderly
            self._log().info("stopped")
            return 0
        self._log().warning("second signal: ending at once")
        orderly.cancel()
        for worker in self._pool.workers:
            worker.kill()
        with contextlib.suppress(TimeoutError, ServekitError):
            async with asyncio.timeout(_FORCED_SECONDS):
                await web.give_up_webhooks()
                await self._pool.close(0)
        # Nothing may hold this up any more: no thread that still computes, no connection, no exit handler.
        self._writer.flush(_LAST_LINES_SECONDS)
        os._exit(_FORCED_EXIT_CODE)

    async def _stop_orderly(self, web: "WebServer", serving: asyncio.Task[None]) -> None:
        grace = self._spec.serve.shutdown_grace
        clock = asyncio.get_running_loop().time
        ends_at = clock() + grace
        await self._pool.drain(grace)
        await web.deliver_webhooks(max(ends_at - clock(), _LAST_WEBHOOKS_SECONDS))
        web.stop()
        await self._pool.close()
        await serving


def _make_log(serve: ServeSpec, writer: LineWriter) -> "FilteringBoundLogger":
    from servekit.server.logging import make_logger, route_standard_logging  # noqa: PLC0415 - heavy

    log = make_logger(serve.log_format, serve.log_level, writer)
    route_standard_logging(log)
    return log


def _import_web() -> "Callable[..., WebServer]":
    from servekit.server.assembly import assemble  # noqa: PLC0415 - heavy

    return assemble


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415 - not on every platform
    except ImportError:
        return None
    return uvloop.new_event_loop
