"""One PUT of a file that lies on disk, read as it is sent."""

import contextlib
import os
import socket
import ssl
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from http.client import HTTPException
from importlib.metadata import version
from pathlib import Path
from typing import BinaryIO, Final

from urllib3.connection import HTTPConnection
from urllib3.exceptions import HTTPError
from urllib3.response import BaseHTTPResponse

from servekit.errors import OutputError
from servekit.output_files import guess_mime, open_file, refuse_unreadable
from servekit.runtime.connections import Watch, connect
from servekit.runtime.targets import Target, TargetError, look_up

__all__ = ["Answer", "PutError", "put"]

_CHUNK_BYTES: Final = 64 * 1024
_MAX_SHOWN: Final = 300
"""Characters of an error that are shown."""

_MAX_REST_BYTES: Final = 64 * 1024
_CONNECT_SECONDS: Final = 4.0
"""A connection that is being made cannot be cut, so this is less than a canceled prediction has by default."""

_STALL_SECONDS: Final = 30.0
"""How long a receiver may move no byte before the request counts as broken: more than Cog gives it for everything."""

_REST_SECONDS: Final = 1.0
"""How long it may pause in the body of its answer. Nobody reads that; but one whose connection ends while it writes
would take that for an error."""


class PutError(Exception):
    """The receiver did not answer.

    Attributes:
        may_retry: Whether that may pass.
    """

    def __init__(self, message: str, *, may_retry: bool = True) -> None:
        self.may_retry = may_retry
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the receiver said; each header as it came, if it did."""

    status: int
    location: str | None
    retry_after: str | None


def put(
    target: Target, credentials: dict[str, str], path: Path, deadline: float, is_cancelled: Callable[[], bool]
) -> Answer:
    """Send a file, and return the answer; redirects are answers as well.

    Args:
        target: Where it goes. The ending of its path says what kind of file it is.
        credentials: Headers by which the receiver knows this server.
        path: The file.
        deadline: When time is up, as `time.monotonic` counts.
        is_cancelled: Whether to stop; looked at while the receiver is waited for.

    Raises:
        PutError: There is no answer.
        ExpiredError: The deadline has passed.
        CancelationError: `is_cancelled` said so.
        OutputError: The file cannot be read.
    """
    with open_file(path) as file, _put_errors(None):
        connection = connect(target, _look_up(target), min(deadline, time.monotonic() + _CONNECT_SECONDS))
        connection.timeout = _STALL_SECONDS
        sock = connection.sock  # once the answer is there, the connection may have let go of it
        assert sock is not None, "the connection is open"
        watch = Watch(sock, deadline, is_cancelled)
        with contextlib.closing(connection), _put_errors(watch), watch:
            _send(connection, target, credentials, _Content(file, path))
            # A response that is not closed keeps the connection's descriptor, whatever becomes of the connection.
            with contextlib.closing(connection.getresponse()) as response:
                _read_rest(sock, response)
                return Answer(response.status, response.headers.get("Location"), response.headers.get("Retry-After"))


def _send(connection: HTTPConnection, target: Target, credentials: dict[str, str], content: "_Content") -> None:
    headers = {
        "Host": target.host_header,
        "Content-Type": guess_mime(content.name),
        "Content-Length": str(content.size),
        "User-Agent": f"servekit/{version('servekit')}",
        **credentials,
    }
    # A receiver that wants no more of it may have said why before it hung up; no answer raises again.
    with contextlib.suppress(ConnectionError):
        connection.request("PUT", target.request_uri, body=content, headers=headers, preload_content=False)


def _read_rest(sock: socket.socket, response: BaseHTTPResponse) -> None:
    with contextlib.suppress(OSError, HTTPError, HTTPException):
        sock.settimeout(_REST_SECONDS)
        response.read(_MAX_REST_BYTES)


def _look_up(target: Target) -> list[str]:
    try:
        return look_up(target.host, target.port)
    except TargetError as error:
        raise PutError(f"upload request failed: {error}") from error


@contextlib.contextmanager
def _put_errors(watch: Watch | None) -> Generator[None]:
    """Put what goes wrong on the network into words."""
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        message = f"upload request failed: the certificate is not valid: {error.verify_message}"
        raise PutError(message, may_retry=False) from error
    except (OSError, HTTPError, HTTPException) as error:
        if watch is not None:
            watch.complain()
        cause = error.__cause__ or error  # urllib3 repeats itself around what the system says
        raise PutError(f"upload request failed: {_show(cause)}") from error


def _show(error: BaseException) -> str:
    """Say what an error is; it may hold whatever the receiver has sent."""
    text = str(error)[:_MAX_SHOWN]
    return (text if text.isprintable() else repr(text)) or type(error).__name__


class _Content:
    """A file as a body: exactly as many bytes as were announced, though somebody may write to the file meanwhile."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self.name = path.name
        self.size = os.fstat(file.fileno()).st_size
        self._file = file
        self._path = path

    def __iter__(self) -> Iterator[bytes]:
        left = self.size
        while left:
            try:
                chunk = self._file.read(min(_CHUNK_BYTES, left))
            except OSError as error:
                raise refuse_unreadable(self._path, error) from error
            if not chunk:
                raise OutputError(f"the file {self._path} became shorter while it was uploaded")
            left -= len(chunk)
            yield chunk
