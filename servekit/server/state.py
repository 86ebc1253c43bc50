"""The states of a server, as Cog's health check names them."""

from enum import StrEnum

from servekit.runtime.pool import Pool

__all__ = ["State", "state_of"]


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
