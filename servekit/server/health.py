"""Whether the server lives, takes predictions, and what state its model is in."""

import platform
from datetime import UTC, datetime
from enum import StrEnum
from importlib.metadata import version
from typing import Any

import msgspec

from servekit.runtime.pool import Pool

__all__ = ["BlockedWorker", "State", "check_health", "explain_unreadiness", "list_blocked", "state_of"]


class State(StrEnum):
    """The states of Cog's health check.

    Attributes:
        STARTING: Setup has not finished; also while workers that died are being replaced.
        READY: Predictions are taken and there is a free slot, or there will be one as soon as one is asked for.
        BUSY: All slots are taken, or the server is shutting down.
        SETUP_FAILED: No worker could be made ready so far.
        UNHEALTHY: The predictor's own healthcheck complains, or all workers are blocked.
        DEFUNCT: Workers had been ready, died, and cannot be made ready again.
    """

    STARTING = "STARTING"
    READY = "READY"
    BUSY = "BUSY"
    SETUP_FAILED = "SETUP_FAILED"
    UNHEALTHY = "UNHEALTHY"
    DEFUNCT = "DEFUNCT"


def state_of(pool: Pool, *, was_ready: bool) -> State:
    """Return the state of a pool, its predictor's own opinion left out."""
    if pool.is_draining:
        return State.BUSY
    if pool.is_ready:
        return State.READY if pool.free_slots or pool.is_asleep else State.BUSY
    if pool.failure is None:
        return State.STARTING
    return State.DEFUNCT if was_ready else State.SETUP_FAILED


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


async def check_health(pool: Pool, *, was_ready: bool) -> dict[str, Any]:
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
        "version": {"servekit": version("servekit"), "python": platform.python_version()},
    }
    if state in (State.READY, State.BUSY) and not pool.is_draining:
        complaint = explain_block(pool) or await pool.check_health()
        if complaint is not None:
            answer["status"] = State.UNHEALTHY
            answer["user_healthcheck_error"] = complaint
    blocked = list_blocked(pool)
    if blocked:
        answer["blocked"] = blocked
    return answer


def _at(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat()
