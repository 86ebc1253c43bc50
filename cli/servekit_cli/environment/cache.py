"""Where environments are kept, and how one comes to be there: whole, or not at all.

An environment is made in a folder of its own and renamed when it is complete, while a lock on its key is
held. So whoever sees it may use it without a lock, and what a crash leaves half made is never used and is
removed by the next one that wants the same environment.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from servekit.errors import EnvironmentBuildError

__all__ = ["cache_directory", "keep", "locked"]


def cache_directory() -> Path:
    """Give the folder for everything that can be made again: `SERVEKIT_CACHE_DIR`, or the user's cache folder.

    Raises:
        EnvironmentBuildError: The user has no folder.
    """
    if named := os.environ.get("SERVEKIT_CACHE_DIR"):
        return Path(named).absolute()
    if cache_home := os.environ.get("XDG_CACHE_HOME"):
        return Path(cache_home) / "servekit"
    try:
        return Path.home() / ".cache" / "servekit"
    except RuntimeError as error:  # no HOME, and a user that this machine does not know
        raise EnvironmentBuildError(
            "There is no home folder to keep environments in.\n"
            "Set SERVEKIT_CACHE_DIR to a folder that can be written to."
        ) from error


def keep(folder: Path, make: Callable[[Path], None], is_complete: Callable[[Path], bool]) -> None:
    """Have a folder be there: use the one that is, or make it.

    Waits while another process makes the same one.

    Args:
        folder: Where it is to stand in the end.
        make: Makes it at the path that it is given, which does not exist; the folder is moved afterwards.
        is_complete: Whether what stands at a path can be used.

    Raises:
        EnvironmentBuildError: The place cannot be read or written to.
    """
    try:
        _keep(folder, make, is_complete)
    except OSError as error:
        raise EnvironmentBuildError(
            f"Environments are kept in {folder.parent}, and nothing can be made there: {error.strerror or error}.\n"
            "Set SERVEKIT_CACHE_DIR to a folder that can be written to."
        ) from error


def _keep(folder: Path, make: Callable[[Path], None], is_complete: Callable[[Path], bool]) -> None:
    if is_complete(folder):
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with locked(folder.with_name(f"{folder.name}.lock")):
        if is_complete(folder):  # another process made it meanwhile
            return
        for leftover in (folder, *folder.parent.glob(f"{folder.name}.part-*")):
            shutil.rmtree(leftover, ignore_errors=True)
        part = Path(tempfile.mkdtemp(prefix=f"{folder.name}.part-", dir=folder.parent))
        try:
            make(part / "environment")
            (part / "environment").rename(folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)


@contextmanager
def locked(file: Path) -> Generator[None]:
    """Hold a lock that only one process has at a time; waits for it, and loses it when the process ends.

    Raises:
        OSError: The file cannot be made.
    """
    with file.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
