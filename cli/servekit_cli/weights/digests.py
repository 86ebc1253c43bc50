"""SHA-256 digests of local files; a file is read only once while it stays the same."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any, Final

from servekit_cli.environment.cache import cache_directory, locked

__all__ = ["digest_file", "read_digest"]

_FROM_BYTES: Final = 1_000_000
"""Smaller files are read faster than their digest is looked up."""
_MOST: Final = 10_000
"""How many digests are kept, the latest ones."""


def digest_file(file: Path) -> str:
    """Give the SHA-256 of a file, in hexadecimal digits.

    Raises:
        OSError: It cannot be read, or what is known of files cannot be kept.
    """
    state = file.stat()
    if state.st_size < _FROM_BYTES:
        return read_digest(file)
    key = str(file.absolute())
    sign = [state.st_size, state.st_mtime_ns, state.st_ino]
    known = _load().get(key)
    if known is not None and known[0] == sign:
        digest: str = known[1]
        return digest
    digest = read_digest(file)
    _keep(key, [sign, digest])
    return digest


def read_digest(file: Path) -> str:
    """Give the SHA-256 of a file, read anew.

    Raises:
        OSError: It cannot be read.
    """
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _keep(key: str, value: list[Any]) -> None:
    file = _file()
    file.parent.mkdir(parents=True, exist_ok=True)
    with locked(file.with_suffix(".lock")):
        known = _load()
        known.pop(key, None)  # so that it comes last
        known[key] = value
        latest = dict(list(known.items())[-_MOST:])
        part = file.with_suffix(f".{os.getpid()}")
        part.write_text(json.dumps(latest), encoding="utf-8")
        part.replace(file)


def _load() -> dict[str, Any]:
    try:
        known: dict[str, Any] = json.loads(_file().read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):  # a file that was cut off is worth as much as none
        return {}
    return known


def _file() -> Path:
    return cache_directory() / "weights" / "digests.json"
