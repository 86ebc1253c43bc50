"""A folder for temporary files, removed also when its process could not.

An orderly end removes the folder. A process that is killed leaves it behind, so whoever makes the next one
removes what such processes have left. Who is alive the kernel says: the owner holds a lock (`flock`) on the
folder itself, which goes with the process however that ends. A folder that is held, that belongs to another
user, or whose name is not exactly one of ours is never touched.
"""

import contextlib
import fcntl
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Final

__all__ = ["ScratchFolder", "sweep"]

_PREFIX: Final = "servekit-files-"
_OURS: Final = re.compile(re.escape(_PREFIX) + r"[a-z0-9_]{8}")

_ATTEMPTS: Final = 100
"""A sweep may take a new folder in the moment before it is held; that it does so twice running is unlikely."""


class ScratchFolder:
    """A new and empty folder that only this user can read, held until `remove`.

    Attributes:
        path: Where it is.

    Raises:
        OSError: The folder for temporary files (`TMPDIR`) cannot be written to.
    """

    def __init__(self) -> None:
        self.path, held = _make_held()
        self._descriptor: int | None = held

    def remove(self) -> None:
        """Remove it with all that is in it, and let go of it; again does nothing."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def sweep() -> None:
    """Remove the folders of this user's processes that ended without removing theirs."""
    with contextlib.suppress(OSError), os.scandir(tempfile.gettempdir()) as entries:
        for entry in entries:
            if _OURS.fullmatch(entry.name):
                _remove_if_left(entry.path)


def _remove_if_left(path: str) -> None:
    with contextlib.suppress(OSError):  # another sweep was faster, or it is a link, or held
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            if os.fstat(descriptor).st_uid == os.geteuid():
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
        finally:
            os.close(descriptor)


def _make_held() -> tuple[Path, int]:
    for _ in range(_ATTEMPTS):
        path = tempfile.mkdtemp(prefix=_PREFIX)
        descriptor = _hold(path)
        if descriptor is not None:
            return Path(path), descriptor
    raise OSError(f"every new folder in {tempfile.gettempdir()} is removed by another process at once")


def _hold(path: str) -> int | None:
    """Lock a new folder; return what holds it, or None when a sweep has taken it meanwhile."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return None
    if _lock(descriptor) and Path(path).exists():
        return descriptor
    os.close(descriptor)
    return None


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks: there no sweep gets one either
        pass
    return True
