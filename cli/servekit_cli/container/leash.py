"""What ends a container when the command that started it is gone, however that happened.

A tiny process inside the container reads from a connection that this process holds open. The engine
closes it when this process ends, even by SIGKILL; then the server is asked to stop, and after a while
everything in the container is killed. The engine removes the container, as it was told to at its start.
"""

import contextlib
from typing import Any, Final, Protocol

from docker.errors import APIError

from servekit_cli.engine import Engine

__all__ = ["Leash", "put_on_leash"]

_SCRIPT: Final = "read _; kill -TERM 1; sleep {seconds}; kill -KILL -1"
"""The last `kill` means every process but the first, which a process of the same container cannot kill."""


class Leash(Protocol):
    """The connection that must stay open."""

    def close(self) -> object:
        """Let go; the container ends."""


def put_on_leash(engine: Engine, name: str, *, grace_seconds: float) -> Leash | None:
    """Let a container that has just been started end with this process.

    Args:
        engine: Where it runs.
        name: The container's name.
        grace_seconds: How long its server may take to stop.

    Returns:
        What must be kept; None when the container has no shell, or has ended already.

    Raises:
        EngineError: The engine went away.
    """
    script = _SCRIPT.format(seconds=int(grace_seconds) + 1)
    api: Any = engine.client.api  # its types are of half of the arguments only
    with engine.faults(), contextlib.suppress(APIError):
        made = api.exec_create(name, ["/bin/sh", "-c", script], stdin=True, stdout=False, stderr=False)
        leash: Leash = api.exec_start(made["Id"], socket=True)
        return leash
    return None
