"""Send a folder to the engine as a tar archive that is never in memory as a whole."""

import os
import stat
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from docker.utils import exclude_paths

__all__ = ["list_context", "stream_tar"]

_PIECE: Final = 1 << 20


def list_context(root: Path, dockerfile: str) -> list[str]:
    """List what of a build context is sent: all but what its .dockerignore names, which the client has to see to."""
    ignore = root / ".dockerignore"
    lines = ignore.read_text(encoding="utf-8").splitlines() if ignore.is_file() else []
    patterns = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    return sorted(exclude_paths(str(root), patterns, dockerfile=dockerfile))


def stream_tar(root: Path, names: Iterable[str]) -> Iterator[bytes]:
    """Give a tar archive piece by piece.

    Owners are left out, so that an image does not depend on who builds it.

    Args:
        root: The folder that the names are in.
        names: Files, folders and links; what is none of these is passed over.
    """
    for name in names:
        info = _describe(root, name)
        if info is None:
            continue
        yield info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
        if info.isreg():
            yield from _contents(root / name, info.size)
        yield bytes(-info.size % tarfile.BLOCKSIZE)
    yield bytes(2 * tarfile.BLOCKSIZE)


def _describe(root: Path, name: str) -> tarfile.TarInfo | None:
    facts = (root / name).lstat()
    info = tarfile.TarInfo(name)
    info.mode = stat.S_IMODE(facts.st_mode)
    info.mtime = int(facts.st_mtime)
    if stat.S_ISREG(facts.st_mode):
        info.size = facts.st_size
    elif stat.S_ISDIR(facts.st_mode):
        info.type = tarfile.DIRTYPE
    elif stat.S_ISLNK(facts.st_mode):
        info.type, info.linkname = tarfile.SYMTYPE, os.readlink(root / name)  # noqa: PTH115 - Path would normalise it
    else:
        return None
    return info


def _contents(path: Path, size: int) -> Iterator[bytes]:
    """Give exactly as many bytes as the header promised, even if the file changes meanwhile."""
    with path.open("rb") as file:
        while size and (piece := file.read(min(_PIECE, size))):
            size -= len(piece)
            yield piece
    while size:
        missing = min(_PIECE, size)
        size -= missing
        yield bytes(missing)
