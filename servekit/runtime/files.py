"""Local files for what the inputs of one prediction name: data URLs, http(s) URLs and uploads."""

import base64
import contextlib
import dataclasses
import mimetypes
import re
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import unquote, unquote_to_bytes, urlsplit

from servekit.errors import FileFetchError

__all__ = ["FetchLimits", "FileSource"]

_MAX_NAME_BYTES: Final = 200
"""Most file systems take 255; the rest is room for a number."""

_EXTENSIONS: Final = {"image/jpeg": ".jpg", "image/webp": ".webp", "audio/wav": ".wav", "audio/mpeg": ".mp3"}
"""Where `mimetypes` knows none, or one that differs from system to system."""


@dataclasses.dataclass(frozen=True, slots=True)
class FetchLimits:
    """What is allowed when an input names a file.

    Attributes:
        max_bytes: The largest file, fetched or in a data URL.
        timeout_seconds: For one fetch as a whole.
        max_redirects: How many redirects one fetch may follow.
        allow_private: Whether private, loopback, link-local and other non-public addresses may be fetched from.
    """

    max_bytes: int = 1024**3
    timeout_seconds: float = 60.0
    max_redirects: int = 5
    allow_private: bool = False


class FileSource:
    """Makes local files for the inputs of one prediction. Not for use by several threads at a time.

    Args:
        directory: Where files go; made when the first one does. Whoever made the source removes it.
        uploads: Local paths of what was uploaded, by the token that stands for it in the input.
        limits: What is allowed.
        is_cancelled: Whether the prediction was canceled; a fetch then ends with `CancelationError`.
    """

    def __init__(
        self,
        directory: Path,
        uploads: Mapping[str, str],
        limits: FetchLimits,
        is_cancelled: Callable[[], bool] = lambda: False,
    ) -> None:
        self._directory = directory
        self._uploads = uploads
        self._limits = limits
        self._is_cancelled = is_cancelled

    def resolve(self, value: str) -> Path:
        """Return the local file for a data URL, an http(s) URL or an upload.

        Raises:
            FileFetchError: It is none of these, cannot be fetched, or is not allowed to be.
            CancelationError: The prediction was canceled meanwhile.
        """
        if value in self._uploads:
            return Path(self._uploads[value])
        match value.partition(":")[0].lower():
            case "data":
                return self._decode(value)
            case "http" | "https":
                return self._fetch(value)
            case _:
                shown = value if len(value) <= 80 else f"{value[:80]}..."  # noqa: PLR2004 - what fits on a line
                message = f'"{shown}" is not a file; send an http(s) URL, a data URL or an upload'
                raise FileFetchError(message)

    def _fetch(self, url: str) -> Path:
        # Not at the top: most predictions name no URL, and urllib3 takes a third of this package's time to import.
        from servekit.runtime.addresses import is_public  # noqa: PLC0415
        from servekit.runtime.fetch import Fetch  # noqa: PLC0415

        fetch = Fetch(
            max_bytes=self._limits.max_bytes,
            timeout_seconds=self._limits.timeout_seconds,
            max_redirects=self._limits.max_redirects,
            is_allowed=(lambda _: True) if self._limits.allow_private else is_public,
            is_cancelled=self._is_cancelled,
        )
        with self._new_file(_name_in_url(url)) as file:
            fetch.into(file, url)
        return Path(file.name)

    def _decode(self, url: str) -> Path:
        head, comma, body = url[len("data:") :].partition(",")
        if not comma:
            message = "a data URL has a comma before its data, as in data:text/plain;base64,aGk="
            raise FileFetchError(message)
        if len(body) * 3 // 4 > self._limits.max_bytes:
            message = f"the data URL is larger than {self._limits.max_bytes} bytes (serve.fetch.max_size)"
            raise FileFetchError(message)
        mime, *parameters = (part.strip().lower() for part in head.split(";"))
        content = _decode_base64(body) if "base64" in parameters else unquote_to_bytes(body)
        with self._new_file(f"file{_extension(mime or 'text/plain')}") as file:
            file.write(content)
        return Path(file.name)

    @contextlib.contextmanager
    def _new_file(self, name: str) -> Generator[BinaryIO]:
        """Open a new file, which is removed again when what is done with it fails."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._free_path(name)
        try:
            with path.open("xb") as file:
                yield file
        except BaseException:
            path.unlink(missing_ok=True)
            raise

    def _free_path(self, name: str) -> Path:
        path, number = self._directory / name, 0
        while path.exists():
            number += 1
            path = self._directory / f"{number}-{name}"
        return path


def _name_in_url(url: str) -> str:
    try:
        path = urlsplit(url).path
    except ValueError:  # the fetch says better what is wrong with it
        path = ""
    return _safe_name(unquote(path.rstrip("/").rpartition("/")[2]))


def _safe_name(name: str) -> str:
    """Return a name that is one path component on every system, not too long, with its extension kept."""
    name = re.sub(r'[\x00-\x1f\x7f/\\:*?"<>|]', "_", name).strip(". ")
    stem, dot, extension = name.rpartition(".")
    if not stem:
        stem, dot, extension = name, "", ""
    suffix = _cut(dot + extension, 20)
    return (_cut(stem, _MAX_NAME_BYTES - len(suffix.encode())) + suffix) or "file"


def _cut(text: str, size: int) -> str:
    return text.encode(errors="replace")[:size].decode(errors="ignore")


def _decode_base64(body: str) -> bytes:
    """Decode base64 as it is found in URLs: escaped, in lines, with the URL's alphabet, without its padding."""
    with contextlib.suppress(ValueError):
        return base64.b64decode(body, validate=True)
    compact = "".join(unquote(body).split()).rstrip("=").translate(str.maketrans("-_", "+/"))
    try:
        return base64.b64decode(compact + "=" * (-len(compact) % 4), validate=True)
    except ValueError as error:
        message = f"the data URL's base64 cannot be read: {error}"
        raise FileFetchError(message) from error


def _extension(mime: str) -> str:
    return _EXTENSIONS.get(mime) or mimetypes.guess_extension(mime, strict=False) or ""
