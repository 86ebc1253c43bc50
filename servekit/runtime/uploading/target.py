"""Where the files of outputs go, and what they are called there."""

import dataclasses
import os
from pathlib import PurePath
from typing import Final
from urllib.parse import quote, urljoin, urlsplit, urlunsplit

__all__ = ["Names", "UploadTarget", "read_location"]

_ID: Final = "{id}"
_KEPT_IN_PATHS: Final = "!$&'()*+,;=:@"
"""What may stand in a path as it is, beside letters, digits and `-._~`: RFC 3986, section 3.3."""


@dataclasses.dataclass(frozen=True, slots=True)
class UploadTarget:
    """A receiver of files.

    Attributes:
        url: The URL below which files are put; `{id}` in its path stands for the prediction's id. It may hold
            credentials, so it goes into no message.
        timeout_seconds: For one file, with all tries.
        retries: How many more times a file is sent that was not taken.
    """

    url: str
    timeout_seconds: float
    retries: int

    def url_of(self, name: str, prediction_id: str) -> str:
        """Return where a file is put: its name behind the path, before the query."""
        parts = urlsplit(self.url)
        folder = parts.path.replace(_ID, _as_folder(prediction_id))
        path = f"{folder}{'' if folder.endswith('/') else '/'}{_escape(name)}"
        return urlunsplit(parts._replace(path=path, fragment=""))


class Names:
    """The names of one prediction's files, no two the same: a second `out.png` becomes `out-1.png`."""

    def __init__(self) -> None:
        self._next: dict[str, int] = {}  # by each name that is taken, the number to try first

    def take(self, name: str) -> str:
        """Return a name that no other file has: the file's own, if it is free."""
        path = PurePath(name)
        free = name
        while free in self._next:
            number = self._next[name]
            self._next[name] = number + 1
            free = f"{path.stem}-{number}{path.suffix}"
        self._next[free] = 1
        return free


def read_location(url: str, location: str | None) -> str:
    """Return the URL that a file has after it was put, without what may be secret in it: user, password and query.

    Args:
        url: Where it was put, after all redirects.
        location: The Location header of the answer, if it has one; it may be relative.
    """
    try:
        parts = urlsplit(urljoin(url, location or ""))
    except ValueError:
        parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query=""))


def _as_folder(prediction_id: str) -> str:
    """Return an id as one part of a path; one of dots alone would lead to another folder."""
    return _escape(prediction_id if prediction_id.strip(".") else f"_{prediction_id}")


def _escape(name: str) -> str:
    return quote(os.fsencode(name), safe=_KEPT_IN_PATHS)
