"""Puts the parts of the web side together."""

import os
from collections.abc import Awaitable, Callable

from structlog.typing import FilteringBoundLogger

from servekit.runtime.pool import Pool
from servekit.server.cog_contract import CogContract, CogTrainingContract
from servekit.server.contract import Contract
from servekit.server.controls import Controls
from servekit.server.metrics.tally import Tally
from servekit.server.observer import ServerObserver
from servekit.server.readiness_file import ReadinessFile
from servekit.server.service import Service
from servekit.server.web import WebServer
from servekit.server.webhooks.credentials import WebhookCredentials
from servekit.server.webhooks.outbox import Outbox
from servekit.spec import Spec
from servekit.store import MemoryStore

__all__ = ["assemble"]


def assemble(
    spec: Spec,
    pool: Pool,
    observer: ServerObserver,
    tally: Tally,
    log: FilteringBoundLogger,
    shut_down: Callable[[], None],
    reload: Callable[[str], Awaitable[None]],
    credentials: WebhookCredentials,
) -> WebServer:
    """Return the web side for a pool.

    Args:
        spec: What is served.
        pool: Where predictions run.
        observer: The pool's; it keeps the store in step from here on.
        tally: What the pool's other observer counts.
        log: Where lines go.
        shut_down: Begins the shutdown of the whole server.
        reload: Brings in new code, for a reason that is logged.
        credentials: By what receivers of webhooks know this server.
    """
    store = MemoryStore(spec.serve.history)
    observer.store = store
    webhooks = Outbox(spec.serve.webhook, credentials, log, tally)
    service = Service(spec, pool, store, tally, webhooks, _choose_contract(spec, log))
    return WebServer(service, observer, log, Controls(shut_down, reload))


def _choose_contract(spec: Spec, log: FilteringBoundLogger) -> Contract:
    if spec.dialect == "servekit":
        return Contract()
    kind = CogTrainingContract if spec.mode == "train" else CogContract
    return kind(ReadinessFile(os.environ, log))
