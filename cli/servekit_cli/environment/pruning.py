"""Environments that nobody has used for long go when a new one is made.

Beside each environment stands a file, its mark. The time of its last change is that of the environment's
last use, and whoever uses the environment holds a shared lock on the mark until its own end. So an
environment is removed only by somebody who sees that it is old and gets the lock alone.
"""

import fcntl
import os
import re
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

__all__ = ["KEPT_DAYS", "mark_used", "prune"]

KEPT_DAYS: Final = 30
"""For how long an environment is kept that nobody uses."""

_KEY: Final = re.compile("[0-9a-f]{32}")
_PART: Final = re.compile("[0-9a-f]{32}[.]part-.*")


def mark_used(folder: Path) -> None:
    """Take note that this process uses an environment from now until its end.

    To be called before looking whether the environment is there, for it may go until then.

    Args:
        folder: Where the environment stands, or is to stand.
    """
    # What stands in a place that cannot be written to nobody can remove.
    with suppress(OSError):
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Never closed: the lock is to go with the process.
        descriptor = os.open(_mark_of(folder), os.O_RDWR | os.O_CREAT, 0o644)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        os.utime(descriptor)


def prune(parent: Path) -> None:
    """Remove the environments in a folder that were not used for `KEPT_DAYS` days, and what crashes left of some."""
    oldest = time.time() - KEPT_DAYS * 24 * 3600
    with suppress(OSError):
        for folder in [path for path in parent.iterdir() if path.is_dir()]:
            if _PART.fullmatch(folder.name) and folder.stat().st_mtime < oldest:
                shutil.rmtree(folder, ignore_errors=True)
            elif _KEY.fullmatch(folder.name):
                _remove_if_unused(folder, oldest)


def _remove_if_unused(folder: Path, oldest: float) -> None:
    mark = _mark_of(folder)
    with suppress(OSError):  # it is in use
        if not mark.exists():
            mark.touch()  # an earlier version made it; its time begins now
        with mark.open("rb+") as held:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(held.fileno()).st_mtime >= oldest:
                return
            # In one step, so that nobody meets a half of it.
            going = folder.rename(folder.with_name(f"{folder.name}.part-old"))
        shutil.rmtree(going, ignore_errors=True)


def _mark_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.used")
