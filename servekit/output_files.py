"""Files in outputs, and what stands for them in JSON.

That is their content as a data URL, if nothing else is asked for. A file is whatever names one on disk, or can be read.
"""

import base64
import mimetypes
import os
import stat
from collections.abc import Callable
from pathlib import PurePath
from typing import Any, BinaryIO, TypeAlias, cast

import msgspec

from servekit.errors import OutputError

__all__ = [
    "FileMetError",
    "FileWriter",
    "guess_mime",
    "name_file",
    "open_file",
    "refuse_file",
    "refuse_unreadable",
    "write_data_url",
]

FileWriter: TypeAlias = Callable[[Any], Any]
"""Takes a path or an open file, and gives what stands for it in JSON."""


class FileMetError(Exception):
    """There is a file in a value that had to be written without waiting for any."""


def refuse_file(file: object) -> Any:  # noqa: ARG001 - the interface
    """Write no file: reading one may block.

    Raises:
        FileMetError: Always.
    """
    raise FileMetError


def write_data_url(file: Any) -> msgspec.Raw:
    """Read a file to its end, and write its content as a data URL.

    Raises:
        OutputError: It cannot be read.
    """
    is_path = isinstance(file, os.PathLike)
    content = _read_path(cast("os.PathLike[str]", file)) if is_path else _read_open_file(file)
    return msgspec.Raw(b'"data:%s;base64,%s"' % (guess_mime(name_file(file)).encode(), base64.b64encode(content)))


def name_file(file: Any) -> str:
    """Return the last part of a file's name, or nothing for an open file that has none."""
    is_path = isinstance(file, os.PathLike)
    name: Any = cast("Any", file) if is_path else getattr(file, "name", "")
    # That of an open file may be a path as well, or the number of its descriptor.
    return PurePath(cast("str", name)).name if isinstance(name, str | os.PathLike) else ""


def guess_mime(name: str) -> str:
    """Return the media type that a name's ending stands for."""
    return mimetypes.guess_type(name, strict=False)[0] or "application/octet-stream"


def refuse_unreadable(file: Any, error: Exception) -> OutputError:
    """Make the error for a file that cannot be read."""
    if isinstance(file, os.PathLike):
        reason = error.strerror if isinstance(error, OSError) else error
        return OutputError(f"the file {os.fspath(cast('os.PathLike[str]', file))} cannot be read: {reason}")
    return OutputError(f"the open file {file!r} cannot be read: {error}")


def open_file(path: "os.PathLike[str]") -> BinaryIO:
    """Open a file that an output names.

    Raises:
        OutputError: It cannot be read, or it is a pipe or a device: there one may wait for ever, or never see the end.
    """
    try:
        file_type = stat.S_IFMT(os.stat(path).st_mode)  # noqa: PTH116 - as below
        if file_type not in (stat.S_IFREG, stat.S_IFDIR):  # of a folder the system says it best
            raise ValueError("it is no regular file")
        return open(path, "rb")  # noqa: PTH123 - anything that names a file, not only pathlib's
    except (OSError, ValueError) as error:
        raise refuse_unreadable(path, error) from error


def _read_path(path: "os.PathLike[str]") -> bytes:
    with open_file(path) as file:
        try:
            return file.read()
        except OSError as error:
            raise refuse_unreadable(path, error) from error


def _read_open_file(file: Any) -> bytes:
    try:
        if file.seekable():
            file.seek(0)  # what was just written to it lies before its position
        content: str | bytes = file.read()
    except (AttributeError, OSError, ValueError) as error:
        raise refuse_unreadable(file, error) from error
    return content.encode() if isinstance(content, str) else content
