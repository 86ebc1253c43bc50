"""`URLFile` and `URLPath`: files at a URL that are fetched when they are first read.

servekit hands `run` no such thing, since its inputs are there already. They are for code that makes them itself.
"""

import io
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Final, Self
from urllib.parse import urlsplit

from servekit import types

__all__ = ["URLFile", "URLPath"]

_TIMEOUT_SECONDS: Final = 10
_MAX_NAME_BYTES: Final = 200
_CHUNK_BYTES: Final = 1 << 20


class URLFile(io.IOBase):
    """What an http(s) URL gives, requested at the first read; it can be pickled at any time.

    Args:
        url: Where it is.
        filename: Its name, if not the last part of the URL's path.

    Raises:
        ValueError: The URL is of another kind.
    """

    def __init__(self, url: str, filename: str | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https"):
            message = f"URLFile requires URL to conform to HTTP or HTTPS protocol, and {url[:80]!r} does not"
            raise ValueError(message)
        self.url = url
        self.name = filename or PurePosixPath(parts.path).name
        self._response: Any = None

    def read(self, size: int = -1, /) -> bytes:
        """Return the next bytes, all that are left by default. Waits 10 seconds at most for each part."""
        content: bytes = self._open().read(None if size < 0 else size)
        return content

    def readable(self) -> bool:
        """Whether it can be read, which it always can."""
        return True

    def close(self) -> None:
        """Give the connection back."""
        response = vars(self).get("_response")  # not there when __init__ raised
        if response is not None:
            response.close()
        super().close()

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._open())

    def __reduce__(self) -> tuple[type["URLFile"], tuple[str, str]]:
        return type(self), (self.url, self.name)

    def __repr__(self) -> str:
        return f"URLFile({self.url!r})"

    def _open(self) -> Any:
        if self._response is None:
            import urllib.request  # noqa: PLC0415 - takes longer than the rest of this package

            agent = os.environ.get("COG_USER_AGENT")
            request = urllib.request.Request(self.url, headers={"User-Agent": agent} if agent else {})  # noqa: S310 - see __init__
            self._response = urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS)  # noqa: S310
        return self._response


class URLPath(types.Path):
    """A path to what an open file holds; `convert` writes it to a local file.

    Args:
        source: Where it comes from, which is its text.
        filename: The name of the local file ends with this.
        fileobj: What to copy.
    """

    __slots__ = ("_converted", "_fileobj", "filename", "source")

    def __new__(cls, *, source: str, filename: str, fileobj: BinaryIO) -> Self:  # noqa: ARG004 - see __init__
        """Make the path of its name; pathlib before 3.12 takes no other arguments."""
        return super().__new__(cls, filename)

    def __init__(self, *, source: str, filename: str, fileobj: BinaryIO) -> None:
        if sys.version_info >= (3, 12):
            super().__init__(filename)
        self.source = source
        self.filename = _cut(filename)
        self._fileobj = fileobj
        self._converted: types.Path | None = None

    def convert(self) -> types.Path:
        """Return the local file, written at the first call. Whoever calls this removes it, with `unlink`."""
        if self._converted is None:
            with tempfile.NamedTemporaryFile(suffix=self.filename, delete=False) as file:
                try:
                    shutil.copyfileobj(self._fileobj, file, _CHUNK_BYTES)
                except BaseException:
                    Path(file.name).unlink()
                    raise
            self._converted = types.Path(file.name)
        return self._converted

    def unlink(self, missing_ok: bool = False) -> None:
        """Remove the local file, if there is one."""
        if self._converted is not None:
            self._converted.unlink(missing_ok=missing_ok)

    def with_segments(self, *segments: str | os.PathLike[str]) -> types.Path:
        """Make the paths that come from this one, such as its parent; these are ordinary ones."""
        return types.Path(*segments)

    def __str__(self) -> str:
        return self.source


def _cut(name: str) -> str:
    """Shorten a name that file systems would not take, and keep its extension."""
    if len(name.encode()) <= _MAX_NAME_BYTES:
        return name
    path = Path(name)
    stem = path.stem.encode()[: _MAX_NAME_BYTES - len(path.suffix.encode()) - 1].decode(errors="ignore")
    return f"{stem}~{path.suffix}"
