"""Whether the server lives, takes predictions, and what state its model is in."""

import platform
from datetime import UTC, datetime
from enum import StrEnum
from importlib.metadata import version
from typing import Any

from servekit.runtime.pool import Pool

__all__ = ["State", "check_health", "explain_unreadiness", "state_of"]


class State(StrEnum):
    """The states of Cog's health check.

    Attributes:
        STARTING: Setup has not finished; also while workers that died are being replaced.
        READY: Predictions are taken and there is a free slot.
        BUSY: All slots are taken, or the server is shutting down.
        SETUP_FAILED: No worker could be made ready so far.
        UNHEALTHY: The predictor's own healthcheck complains.
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
        return State.READY if pool.free_slots else State.BUSY
    if pool.failure is None:
        return State.STARTING
    return State.DEFUNCT if was_ready else State.SETUP_FAILED


def explain_unreadiness(pool: Pool) -> str | None:
    """Return why no predictions are taken, or None when they are."""
    if pool.is_draining:
        return "the server is shutting down"
    if pool.is_ready:
        return None
    if pool.failure is not None:
        return str(pool.failure)
    return "setup has not finished yet"


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
        complaint = await pool.check_health()
        if complaint is not None:
            answer["status"] = State.UNHEALTHY
            answer["user_healthcheck_error"] = complaint
    return answer


def _at(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat()
