"""Whether the server takes predictions, and the answer of `/health-check`."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from servekit.runtime.pool import Pool
from servekit.server.contract import Contract
from servekit.server.state import State, state_of

__all__ = ["BlockedWorker", "check_health", "explain_unreadiness", "list_blocked"]


def explain_unreadiness(pool: Pool) -> str | None:
    """Return why no predictions are taken, or None when they are."""
    if pool.is_draining:
        return "the server is shutting down"
    if pool.is_ready:
        return explain_block(pool)
    if pool.failure is not None:
        return str(pool.failure)
    return "setup has not finished yet"


def explain_block(pool: Pool) -> str | None:
    """Return why nothing moves although workers are ready, or None when one of them answers."""
    if not pool.is_blocked:
        return None
    workers = [
        f"worker {worker.number}: {hang.describe()}" for worker in pool.blocked_workers if (hang := worker.pulse.hang)
    ]
    return f"no worker answers ({'; '.join(workers)}); the server's log shows where they are blocked"


class BlockedWorker(msgspec.Struct):
    """A worker that does not answer, as health answers show it."""

    worker: int
    pid: int | None
    since: datetime
    seconds: float
    blocked: str


def list_blocked(pool: Pool) -> list[BlockedWorker]:
    """Return the workers that do not answer."""
    return [
        BlockedWorker(
            worker.number, worker.pid, datetime.fromtimestamp(hang.since, UTC), round(hang.seconds, 1), hang.where
        )
        for worker in pool.blocked_workers
        if (hang := worker.pulse.hang) is not None
    ]


_HEALTHCHECK_PATIENCE_SECONDS = 0.25
"""How long an answer waits for the predictor's own healthcheck: long for one that looks at a few values, and short
for whoever watches many servers. Chosen by feel."""


async def check_health(pool: Pool, contract: Contract, *, was_ready: bool) -> dict[str, Any]:
    """Return the answer of `/health-check`, in Cog's form."""
    state = state_of(pool, was_ready=was_ready)
    setup = pool.setup
    answer: dict[str, Any] = {
        "status": state,
        "setup": {
            "started_at": _at(setup.started_at),
            "completed_at": _at(setup.completed_at),
            "status": setup.status,
            "logs": setup.logs,
        },
        "version": contract.name_versions(),
    }
    if state in (State.READY, State.BUSY) and not pool.is_draining:
        contract.note_ready()
        complaint = explain_block(pool) or await _ask_predictor(pool, contract)
        if complaint is not None:
            answer["status"] = State.UNHEALTHY
            answer["user_healthcheck_error"] = complaint
    blocked = list_blocked(pool)
    if blocked:
        answer["blocked"] = blocked
    return answer


async def _ask_predictor(pool: Pool, contract: Contract) -> str | None:
    complaint = await pool.check_health(_HEALTHCHECK_PATIENCE_SECONDS)
    return None if complaint is None else contract.explain_complaint(complaint)


def _at(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat()
