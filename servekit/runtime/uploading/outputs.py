"""The files in the outputs of one prediction: found, sent, and replaced by their URLs.

A value is written first, with a token in the place of each file, and only then are the files sent. So several of
them go at once and keep their order, and a value that cannot be written has sent none.
"""

import contextlib
import os
import re
import secrets
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import msgspec

from servekit.errors import CancelationError
from servekit.jsonable import JsonWriter
from servekit.output_files import name_file, open_file, refuse_unreadable
from servekit.runtime.uploading.target import Names, UploadTarget
from servekit.scope import Scope
from servekit.threads import parallel

__all__ = ["UploadedFiles"]

_AT_ONCE: Final = 4
"""How many files of one value are sent at a time; chosen by feel."""

_COPIED_BYTES: Final = 1 << 20
_NAMELESS: Final = "output"


class UploadedFiles:
    """Sends the files of one prediction. Used by one thread at a time.

    Args:
        receiver: Where they go.
        scope: The prediction; its cancelation ends what is under way.
    """

    def __init__(self, receiver: UploadTarget, scope: Scope) -> None:
        self._receiver = receiver
        self._scope = scope
        self._names = Names()

    def encode(self, write: Callable[[JsonWriter], bytes]) -> bytes:
        """Write a value, and return it with the URLs that its files have after they were sent.

        Args:
            write: Writes the value with what it is given.

        Raises:
            OutputError: The value cannot be written, or a file not be read.
            UploadError: The receiver does not take a file.
            CancelationError: The prediction was canceled.
        """
        with contextlib.ExitStack() as copies:
            found = _FoundFiles(self._scope, copies)
            encoded = write(JsonWriter(found.take))
            urls = self._send([_Parcel(path, self._names.take(path.name)) for path in found.paths])
        return found.replace(encoded, urls)

    def _send(self, parcels: "list[_Parcel]") -> list[str]:
        # Not at the top: most workers send nothing, and urllib3 takes a third of this package's time to import.
        from servekit.runtime.uploading.upload import Upload  # noqa: PLC0415

        failures: list[BaseException] = []

        def is_over() -> bool:
            return self._scope.cancelled or bool(failures)  # after one of them the others have no purpose

        def send(parcel: _Parcel) -> str:
            url = self._receiver.url_of(parcel.name, self._scope.id)
            try:
                return Upload(url, parcel.path, self._receiver, is_over).run()
            except BaseException as error:
                failures.append(error)
                raise

        if len(parcels) == 1:
            return [send(parcels[0])]
        try:
            return parallel(send, parcels, max_concurrency=_AT_ONCE)
        except CancelationError:
            # One that was ended because of another may have been faster to end.
            if self._scope.cancelled or not failures:
                raise
            raise failures[0] from failures[0].__cause__


@dataclass(frozen=True, slots=True)
class _Parcel:
    """A file on disk, and its name at the receiver."""

    path: Path
    name: str


class _FoundFiles:
    """The files that a value holds, in the order in which they are written."""

    def __init__(self, scope: Scope, copies: contextlib.ExitStack) -> None:
        self.paths: list[Path] = []
        self._scope = scope
        self._copies = copies
        self._token = f"servekit-file:{secrets.token_hex(16)}:"  # in no text of the author's

    def take(self, file: Any) -> msgspec.Raw:
        """Note a file, and return the token for it.

        Raises:
            OutputError: It cannot be read.
        """
        if isinstance(file, os.PathLike):
            path = Path(os.fspath(cast("os.PathLike[str]", file)))
            open_file(path).close()
        else:
            path = self._copy(file)
        self.paths.append(path)
        return msgspec.Raw(f'"{self._token}{len(self.paths) - 1}"'.encode())

    def replace(self, encoded: bytes, urls: list[str]) -> bytes:
        """Put the URLs in the places of their tokens."""
        pattern = f'"{self._token}([0-9]+)"'.encode()
        return re.sub(pattern, lambda match: msgspec.json.encode(urls[int(match[1])]), encoded)

    def _copy(self, file: Any) -> Path:
        """Copy an open file, which can be read only once, and by one thread, to where it can be sent from again."""
        folder = tempfile.TemporaryDirectory(dir=self._scope.temp_dir, ignore_cleanup_errors=True)
        path = Path(self._copies.enter_context(folder), name_file(file) or _NAMELESS)
        try:
            if file.seekable():
                file.seek(0)  # what was just written to it lies before its position
            with path.open("wb") as copy:
                while content := file.read(_COPIED_BYTES):
                    copy.write(content.encode() if isinstance(content, str) else content)
        except (AttributeError, OSError, ValueError) as error:
            raise refuse_unreadable(file, error) from error
        return path
