"""Which process a container belongs to, and the removal of those whose process is gone.

A container that runs ends by itself when its command is gone (see `leash`), and the engine then removes
it. What is left for the next command to clear away is one that was made and never started, and one in
which a build that was killed has asked an image what is in it.
"""

import contextlib
import os
import socket
from pathlib import Path
from typing import Final

from docker.errors import APIError

from servekit_cli.engine import Engine

__all__ = ["OWNER", "is_orphan", "label_owner", "sweep"]

OWNER: Final = "dev.servekit.owner"


def label_owner() -> dict[str, str]:
    """Return the label that names this process: its number, when it started, and the host."""
    number = os.getpid()
    return {OWNER: f"{number}.{_started(number)}@{socket.gethostname()}"}


def sweep(engine: Engine) -> list[str]:
    """Remove the containers whose commands are gone, and return their names.

    Those of other hosts, which may use the same engine, stay: nothing is known of their processes.

    Raises:
        EngineError: The engine went away.
    """
    removed: list[str] = []
    with engine.faults():
        for container in engine.client.containers.list(all=True, ignore_removed=True, filters={"label": OWNER}):
            if is_orphan(container.labels.get(OWNER, "")):
                with contextlib.suppress(APIError):  # another command, or the engine itself, was faster
                    container.remove(force=True, v=True)
                    removed.append(str(container.name))
    return removed


def is_orphan(owner: str) -> bool:
    """Whether the process that an owner's label names is one of this machine, and gone."""
    process, _, host = owner.partition("@")
    number, _, started = process.partition(".")
    if host != socket.gethostname() or not number.isdigit():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # it lives, and belongs to somebody else
    return started != _started(int(number))


def _started(number: int) -> str:
    """Return the time at which a process started, where the system tells: numbers of processes come again.

    Source:
        proc_pid_stat(5): `starttime` is field 22; the name in field 2 stands in parentheses.
    """
    try:
        fields = Path(f"/proc/{number}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return fields[19]
