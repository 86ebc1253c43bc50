"""The paths by which others watch the server: `/livez`, `/readyz`, `/metrics` and Cog's `/health-check`."""

import msgspec

from servekit.server.app import Route
from servekit.server.exchange import Exchange
from servekit.server.health import check_health, explain_unreadiness, list_blocked
from servekit.server.metrics.page import MetricsPage
from servekit.server.observer import ServerObserver
from servekit.server.problems import Refusal
from servekit.server.service import Service

__all__ = ["make_probes"]


def make_probes(service: Service, observer: ServerObserver) -> dict[str, Route]:
    """Return the probes by path."""
    pool = service.pool

    async def live(exchange: Exchange) -> None:
        """Answer 200 as long as the server's loop turns."""
        await exchange.answer(200, b'{"status":"alive"}')

    async def ready(exchange: Exchange) -> None:
        """Answer 200 when predictions are taken, else 503 with the reason; name the workers that are blocked."""
        reason = explain_unreadiness(pool)
        blocked = list_blocked(pool)
        if reason is not None:
            raise Refusal.unavailable(reason, 2, **({"blocked": blocked} if blocked else {}))
        answer = msgspec.json.encode({"status": "ready", "blocked": blocked}) if blocked else b'{"status":"ready"}'
        await exchange.answer(200, answer)

    async def health(exchange: Exchange) -> None:
        """Answer 200 with the whole state, as Cog does."""
        health = await check_health(pool, service.contract, was_ready=observer.was_ready)
        await exchange.answer(200, msgspec.json.encode(health))

    metrics = MetricsPage(pool, service.tally, service.serve.queue.max)
    routes: dict[str, Route] = {"/livez": live, "/readyz": ready, "/health-check": health, "/metrics": metrics}
    return {path: _only_get(route) for path, route in routes.items()}


def _only_get(route: Route) -> Route:
    async def checked(exchange: Exchange) -> None:
        method = exchange.scope["method"]
        if method not in ("GET", "HEAD"):
            raise Refusal.wrong_method(method, "GET, HEAD")
        await route(exchange)

    return checked
