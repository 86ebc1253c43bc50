"""The folder that an engine builds from.

It is kept for each project and brought up to date for each build: what has not changed stays as it is,
so that BuildKit sends only what has. Files of the project are hard links where that is possible, and so
cost neither time nor space. Nothing in such a folder is ever written in place, since that would change
the project itself: a file is made under another name and then renamed. What a crash leaves half made is
put right by the next build.
"""

import contextlib
import errno
import fcntl
import os
import shutil
import stat
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from servekit.errors import ImageBuildError
from servekit_cli.terminal import say

__all__ = ["KEPT_DAYS", "ContextEntry", "lock_context", "prune_contexts", "sync_context"]

KEPT_DAYS: Final = 30
"""For how long the context of a project is kept that nobody builds."""

_PART: Final = ".servekit-part"
_NO_LINKS: Final = frozenset({errno.EXDEV, errno.EPERM, errno.EACCES, errno.EMLINK, errno.ENOTSUP, errno.ENOSYS})


@dataclass(frozen=True)
class ContextEntry:
    """One path of a context: a file of the project, a text, a link, or else a folder.

    Attributes:
        path: Where it stands in the context, with slashes.
        source: The file to take.
        text: The text to write.
        link: Where it points.
    """

    path: str
    source: Path | None = None
    text: str | None = None
    link: str | None = None


@contextmanager
def lock_context(folder: Path) -> Generator[None]:
    """Have a context for oneself, and wait while another build has it.

    Raises:
        ImageBuildError: The place cannot be written to.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        handle = folder.with_name(f"{folder.name}.lock").open("a")
    except OSError as error:
        raise _unwritable(folder, error) from error
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another build of this project is running; this one goes on when that is done.")
            fcntl.flock(handle, fcntl.LOCK_EX)
        os.utime(handle.fileno())  # its last use, for `prune_contexts`
        yield


def prune_contexts(parent: Path) -> None:
    """Remove the contexts in a folder that were not used for `KEPT_DAYS` days: their links keep deleted files alive.

    A lock stays, since somebody may wait for it; it is empty.
    """
    oldest = time.time() - KEPT_DAYS * 24 * 3600
    for lock in parent.glob("*.lock"):
        with contextlib.suppress(OSError), lock.open("r+") as handle:  # it is in use
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(handle.fileno()).st_mtime < oldest:
                shutil.rmtree(lock.with_suffix(""), ignore_errors=True)


def sync_context(folder: Path, entries: Iterable[ContextEntry], *, may_link: bool = True) -> None:
    """Make a folder hold exactly these entries, changing as little as possible.

    Args:
        folder: Made if need be. Whatever else is in it is removed.
        entries: What it shall hold; the folders above an entry need not be named.
        may_link: Whether files may be hard links, which is wrong for a folder that somebody has named and edits.

    Raises:
        ImageBuildError: Something cannot be read or written, or vanished meanwhile.
    """
    wanted = {entry.path: entry for entry in entries}
    folders = {path for entry in wanted for path in _list_parents(entry)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in folders - wanted.keys():
            wanted[path] = ContextEntry(path)
        _remove_others(folder, "", wanted)
        for path in sorted(wanted):
            _bring_up_to_date(folder / path, wanted[path], may_link=may_link)
    except OSError as error:
        raise _unwritable(folder, error, has_own_name=not may_link) from error


def _list_parents(path: str) -> Iterator[str]:
    while path := path.rpartition("/")[0]:
        yield path


def _remove_others(root: Path, folder: str, wanted: dict[str, ContextEntry]) -> None:
    """Remove what is not wanted, or is of another kind than what is."""
    for found in os.scandir(root / folder):
        path = f"{folder}/{found.name}" if folder else found.name
        is_folder = found.is_dir(follow_symlinks=False)
        entry = wanted.get(path)
        if entry is not None and is_folder == _is_folder(entry):
            if is_folder:
                _remove_others(root, path, wanted)
        elif is_folder:
            shutil.rmtree(found.path)
        else:
            Path(found.path).unlink()


def _is_folder(entry: ContextEntry) -> bool:
    return entry.source is None and entry.text is None and entry.link is None


def _bring_up_to_date(place: Path, entry: ContextEntry, *, may_link: bool) -> None:
    if entry.source is not None:
        _put_file(place, entry.source, may_link=may_link)
    elif entry.text is not None:
        _put_text(place, entry.text)
    elif entry.link is not None:
        _put_link(place, entry.link)
    else:
        place.mkdir(exist_ok=True)
        place.chmod(0o755)  # whatever the umask


def _put_file(place: Path, source: Path, *, may_link: bool) -> None:
    wanted = _stat_source(source)
    present = _stat(place)
    mode = _readable_mode(wanted.st_mode)
    if may_link and mode == stat.S_IMODE(wanted.st_mode):
        if present and os.path.samestat(present, wanted):
            return
        if _try_link(place, source):
            return
    is_same = present and (present.st_size, present.st_mtime_ns) == (wanted.st_size, wanted.st_mtime_ns)
    if present and is_same and stat.S_IMODE(present.st_mode) == mode and not os.path.samestat(present, wanted):
        return
    _check_readable(source)
    with _replacing(place) as part:
        shutil.copyfile(source, part)
        part.chmod(mode)
        os.utime(part, ns=(wanted.st_atime_ns, wanted.st_mtime_ns))


def _stat_source(source: Path) -> os.stat_result:
    try:
        return source.stat()
    except FileNotFoundError as error:
        raise ImageBuildError(
            f"{source} was there a moment ago and now is not.\nBuild again when nothing changes the project meanwhile."
        ) from error


def _check_readable(source: Path) -> None:
    try:
        source.open("rb").close()
    except OSError as error:
        raise ImageBuildError(
            f"{source} cannot be read: {error.strerror}.\n"
            "Give yourself the right to, or name it in .dockerignore if the predictor does not need it."
        ) from error


def _stat(place: Path) -> os.stat_result | None:
    try:
        return place.lstat()
    except FileNotFoundError:
        return None


def _readable_mode(mode: int) -> int:
    """Let everybody read what its owner can: in the image it belongs to root, and the server is another user."""
    executable = 0o111 if mode & stat.S_IXUSR else 0
    return stat.S_IMODE(mode) | 0o444 | executable


def _try_link(place: Path, source: Path) -> bool:
    try:
        with _replacing(place) as part:
            part.hardlink_to(source)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        return False
    return True


def _put_text(place: Path, text: str) -> None:
    content = text.encode()
    if place.is_file() and not place.is_symlink() and place.read_bytes() == content:
        return
    with _replacing(place) as part:
        part.write_bytes(content)
        part.chmod(0o644)


def _put_link(place: Path, target: str) -> None:
    if place.is_symlink() and str(place.readlink()) == target:
        return
    with _replacing(place) as part:
        part.symlink_to(target)


@contextmanager
def _replacing(place: Path) -> Generator[Path]:
    """Give a name under which to make something that is then put in the place of what is there."""
    part = place.with_name(_PART)
    part.unlink(missing_ok=True)
    try:
        yield part
        part.replace(place)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _unwritable(folder: Path, error: OSError, *, has_own_name: bool = False) -> ImageBuildError:
    way_out = "name" if has_own_name else "set SERVEKIT_CACHE_DIR to"
    return ImageBuildError(
        f"The build context cannot be made in {folder}: {error.filename or folder}: {error.strerror}.\n"
        f"Make room there, or {way_out} another folder."
    )
