"""Where the code of an image comes from: what git knows, and when the image is made."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from servekit.errors import UsageError

__all__ = ["SourceFacts", "read_source", "without_credentials"]

_SECONDS: Final = 10
"""A repository on a slow disk must not hold up a build; what git does not tell in time is left out."""
_DIRTY: Final = "-dirty"


@dataclass(frozen=True)
class SourceFacts:
    """Where an image comes from; what is not known is None.

    Attributes:
        revision: The commit, with `-dirty` behind it when the project's folder differs from it.
        version: The nearest tag, as `git describe --tags` writes it; likewise.
        url: The remote repository, without credentials.
        created: When the image is made: RFC 3339, in UTC.
    """

    created: str
    revision: str | None = None
    version: str | None = None
    url: str | None = None


def read_source(root: Path, environ: Mapping[str, str] = os.environ) -> SourceFacts:
    """Find out where the project in a folder comes from.

    Args:
        root: The folder of the spec.
        environ: SOURCE_DATE_EPOCH in it is taken for the time.

    Raises:
        UsageError: SOURCE_DATE_EPOCH is no number of seconds.
    """
    created = _read_time(environ)
    commit = _git(root, "rev-parse", "HEAD")
    if commit is None:  # no repository, no commit in it yet, no git, or a folder of somebody else
        return SourceFacts(created)
    # Files that git does not know get into the image as well, so they count; those it ignores do not.
    dirty = _DIRTY if _git(root, "status", "--porcelain", "--", ".") else ""
    tag, url = _git(root, "describe", "--tags"), _git(root, "remote", "get-url", "origin")
    return SourceFacts(
        created=created,
        revision=commit + dirty,
        version=f"{tag}{dirty}" if tag else None,
        url=without_credentials(url) if url else None,
    )


def without_credentials(url: str) -> str:
    """Take user and password out of a URL; an SSH user such as git@ is no secret and stays."""
    parts = urlsplit(url)
    if not parts.netloc:  # git@host:path, or a folder
        return url
    user, at, host = parts.netloc.rpartition("@")
    keep = f"{user.partition(':')[0]}{at}" if parts.scheme == "ssh" else ""
    return urlunsplit((parts.scheme, keep + host, parts.path, "", ""))


def _read_time(environ: Mapping[str, str]) -> str:
    epoch = environ.get("SOURCE_DATE_EPOCH")
    try:
        moment = datetime.fromtimestamp(int(epoch), UTC) if epoch else datetime.now(UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise UsageError(
            f'SOURCE_DATE_EPOCH is "{epoch}"; expected is a number of seconds since 1970.\n'
            "Set it with `export SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)`, or unset it."
        ) from error
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _git(root: Path, *arguments: str) -> str | None:
    """Ask git, and return its answer, or None if it has none."""
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=root,
            # A build must not wait for the index's lock, nor for a password.
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode("utf-8", "replace").strip() if done.returncode == 0 else None
