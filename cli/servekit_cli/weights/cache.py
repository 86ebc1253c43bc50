"""Fetched weights, kept by their SHA-256, so that two projects with the same file have it once.

    weights/blobs/<sha256>        the files, read-only, complete or not there
    weights/sources/<key>.json    which files a URL gave

A file is fetched under a lock on its URL, checked, and renamed when it is complete. So several processes
can ask for the same one, and a crash leaves nothing that looks complete.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from servekit.errors import WeightsError
from servekit_cli.environment.cache import cache_directory, locked
from servekit_cli.sizes import describe_size
from servekit_cli.terminal import say, show_progress
from servekit_cli.weights.digests import read_digest
from servekit_cli.weights.download import Remote

__all__ = ["Fetched", "fetch_weights", "find_blob"]

_READ_ONLY: Final = 0o444
"""A file is linked into projects: writing to it there must not change it for others."""


@dataclass(frozen=True)
class Fetched:
    """One fetched file.

    Attributes:
        relative: Its path below the source; empty for a source that is one file.
        sha256: Its digest.
        size: In bytes.
    """

    relative: str
    sha256: str
    size: int

    @property
    def path(self) -> Path:
        """Where it is kept."""
        return _blob(self.sha256)


def find_blob(sha256: str) -> Path | None:
    """Return the kept file with this digest, if there is one."""
    blob = _blob(sha256)
    return blob if blob.is_file() else None


def fetch_weights(source: str, sha256: str | None) -> Sequence[Fetched]:
    """Have what a URL names in the cache.

    What has been fetched before is not asked for again, whatever the server would give today.

    Args:
        source: The URL, as in the spec.
        sha256: The digest that the file must have, if the spec names one.

    Raises:
        WeightsError: It cannot be fetched or kept, or is another file.
    """
    try:
        return _find(source, sha256) or _fetch(source, sha256)
    except OSError as error:
        raise WeightsError(
            f"Weights are kept in {_home()}, and nothing can be written there: {error.strerror or error}.\n"
            "Make room, or set SERVEKIT_CACHE_DIR to a folder that can be written to."
        ) from error


def _find(source: str, sha256: str | None) -> Sequence[Fetched]:
    if sha256 is not None:
        blob = find_blob(sha256)
        return [Fetched("", sha256, blob.stat().st_size)] if blob else []
    try:
        record = json.loads(_record(source).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return []
    files = [Fetched(**file) for file in record["files"]]
    return files if all(file.path.is_file() for file in files) else []


def _fetch(source: str, sha256: str | None) -> Sequence[Fetched]:
    for folder in ("blobs", "sources"):
        (_home() / folder).mkdir(parents=True, exist_ok=True)
    with locked(_record(source).with_suffix(".lock")):
        if found := _find(source, sha256):  # another process has fetched it meanwhile
            return found
        remote = Remote(source)
        names = remote.list_files()
        if not names:
            raise WeightsError(f"There is nothing in {remote.shown}.\nCorrect the source in the spec.")
        if sha256 is not None and names != [""]:
            raise WeightsError(
                f"{remote.shown} is a folder, and a sha256 is that of one file.\n"
                "Name the files one by one, or take the sha256 away."
            )
        files = [_fetch_file(remote, name, sha256) for name in names]
        _write(_record(source), json.dumps({"source": source, "files": [asdict(file) for file in files]}))
        return files


def _fetch_file(remote: Remote, relative: str, sha256: str | None) -> Fetched:
    shown = f"{remote.shown}/{relative}" if relative else remote.shown
    part = _record(remote.source).with_suffix(".data")  # whoever holds the lock may overwrite what a crash left
    try:
        with show_progress(f"Fetching {shown}", done=f"Fetched {shown}") as progress:

            def show(done: int, size: int | None) -> None:
                of = f" of {describe_size(size)}" if size else ""
                progress.update(f"Fetching {shown}: {describe_size(done)}{of}")

            remote.fetch(relative, part, show)
            digest = read_digest(part)
        if sha256 is not None and digest != sha256:
            raise WeightsError(
                f"{shown} has the SHA-256 {digest}, and the spec says {sha256}.\n"
                "Find out why it is another file; if it is the right one, put its SHA-256 into the spec."
            )
        size = part.stat().st_size
        part.chmod(_READ_ONLY)
        part.rename(_blob(digest))
    finally:
        part.unlink(missing_ok=True)
    if sha256 is None and not relative:
        say(f'Note: with `sha256: "{digest}"` beside its source, {shown} is the same file for everybody.')
    return Fetched(relative, digest, size)


def _write(file: Path, text: str) -> None:
    part = file.with_suffix(".new")
    part.write_text(text, encoding="utf-8")
    part.replace(file)


def _home() -> Path:
    return cache_directory() / "weights"


def _blob(sha256: str) -> Path:
    return _home() / "blobs" / sha256


def _record(source: str) -> Path:
    return _home() / "sources" / f"{hashlib.sha256(source.encode()).hexdigest()[:32]}.json"
