"""The paths by which others watch the server: `/livez`, `/readyz` and Cog's `/health-check`."""

import msgspec

from servekit.runtime.pool import Pool
from servekit.server.app import Route
from servekit.server.exchange import Exchange
from servekit.server.health import check_health, explain_unreadiness
from servekit.server.observer import ServerObserver
from servekit.server.problems import Refusal

__all__ = ["make_probes"]


def make_probes(pool: Pool, observer: ServerObserver) -> dict[str, Route]:
    """Return the probes by path."""

    async def live(exchange: Exchange) -> None:
        """Answer 200 as long as the server's loop turns."""
        await exchange.answer(200, b'{"status":"alive"}')

    async def ready(exchange: Exchange) -> None:
        """Answer 200 when predictions are taken, else 503 with the reason."""
        reason = explain_unreadiness(pool)
        if reason is not None:
            raise Refusal.unavailable(reason, 2)
        await exchange.answer(200, b'{"status":"ready"}')

    async def health(exchange: Exchange) -> None:
        """Answer 200 with the whole state, as Cog does."""
        await exchange.answer(200, msgspec.json.encode(await check_health(pool, was_ready=observer.was_ready)))

    return {"/livez": _only_get(live), "/readyz": _only_get(ready), "/health-check": _only_get(health)}


def _only_get(route: Route) -> Route:
    async def checked(exchange: Exchange) -> None:
        method = exchange.scope["method"]
        if method not in ("GET", "HEAD"):
            raise Refusal.wrong_method(method, "GET, HEAD")
        await route(exchange)

    return checked
