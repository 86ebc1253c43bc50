"""Fetch one file over http(s), for a client that is not trusted.

Guarantees:

- A name is resolved once per hop, its addresses are checked, and the connection goes to exactly the
  address that was checked; TLS and the Host header still have the name. Each redirect is a new hop.
- Size and time hold for the whole fetch, whatever the server announces and however slowly it sends.
  Only the system's resolver keeps its own time.
- Proxies and credentials in the environment play no part.
"""

import contextlib
import ssl
import time
from collections.abc import Callable, Generator
from http.client import HTTPException
from importlib.metadata import version
from typing import BinaryIO, Final
from urllib.parse import urljoin

from urllib3.exceptions import HTTPError, NewConnectionError
from urllib3.exceptions import TimeoutError as HTTPTimeoutError
from urllib3.response import BaseHTTPResponse

from servekit.errors import FileFetchError
from servekit.runtime.addresses import Address, is_public, parse_address
from servekit.runtime.connections import ExpiredError, Watch, connect
from servekit.runtime.targets import Target, TargetError, look_up, show_url

__all__ = ["Fetch"]

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_CHUNK_BYTES: Final = 64 * 1024


class Fetch:
    """Fetches files under one set of limits.

    Args:
        max_bytes: The largest file, as it is after decoding.
        timeout_seconds: For the whole fetch, redirects and a second try included.
        max_redirects: How many hops may follow the first.
        is_allowed: Whether an address may be connected to.
        is_cancelled: Asked now and then; once it says so, the fetch ends with `CancelationError`.
    """

    def __init__(
        self,
        *,
        max_bytes: int,
        timeout_seconds: float,
        max_redirects: int,
        is_allowed: Callable[[Address], bool] = is_public,
        is_cancelled: Callable[[], bool] = lambda: False,
    ) -> None:
        self._max_bytes = max_bytes
        self._timeout_seconds = timeout_seconds
        self._max_redirects = max_redirects
        self._is_allowed = is_allowed
        self._is_cancelled = is_cancelled

    def into(self, file: BinaryIO, url: str) -> None:
        """Write what is at a URL into a file that is open for writing.

        Raises:
            FileFetchError: It cannot be fetched, or is not allowed to be. The file may hold a part of it.
            CancelationError: `is_cancelled` said so.
        """
        deadline = time.monotonic() + self._timeout_seconds
        for _ in range(self._max_redirects + 1):
            location = self._follow(file, _parse(url), deadline)
            if location is None:
                return
            url = urljoin(url, location)
        message = f"{show_url(url)}: more than {self._max_redirects} redirects"
        raise FileFetchError(message)

    def _follow(self, file: BinaryIO, target: Target, deadline: float) -> str | None:
        """Make one hop, a second time when the connection breaks; return where it is redirected to."""
        try:
            return self._hop(file, target, deadline)
        except _BrokenError:
            pass
        file.seek(0)
        file.truncate()
        try:
            return self._hop(file, target, deadline)
        except _BrokenError as error:
            message = f"{target.shown}: the connection broke twice: {error}"
            raise FileFetchError(message) from error.__cause__

    def _hop(self, file: BinaryIO, target: Target, deadline: float) -> str | None:
        with self._errors_of(target):
            connection = connect(target, self._resolve(target), deadline)
        watch = Watch(connection.sock, deadline, self._is_cancelled)
        with contextlib.closing(connection), self._errors_of(target, watch), watch:
            headers = {"Host": target.host_header, "Accept": "*/*", "Accept-Encoding": "identity", **target.credentials}
            headers["User-Agent"] = f"servekit/{version('servekit')}"
            connection.request("GET", target.request_uri, headers=headers, preload_content=False)
            # A response that is not closed keeps the connection's descriptor, whatever becomes of the connection.
            with contextlib.closing(connection.getresponse()) as response:
                location = response.headers.get("Location")
                if response.status in _REDIRECTS and location is not None:
                    return location
                self._read(file, response, target)
            # A connection that a watch has cut can look like one that has come to its end.
            watch.complain()
            return None

    def _read(self, file: BinaryIO, response: BaseHTTPResponse, target: Target) -> None:
        if response.status != 200:  # noqa: PLR2004 - the one status that has the file
            message = f"{target.shown} answered {response.status} {response.reason or ''}".rstrip()
            raise FileFetchError(message)
        announced = response.headers.get("Content-Length", "")
        if announced.isdecimal() and int(announced) > self._max_bytes:
            raise self._too_large(target)
        size = 0
        for chunk in response.stream(_CHUNK_BYTES, decode_content=True):
            size += len(chunk)
            if size > self._max_bytes:
                raise self._too_large(target)
            file.write(chunk)

    def _resolve(self, target: Target) -> list[str]:
        try:
            addresses = look_up(target.host, target.port)
        except TargetError as error:
            message = f"{target.shown}: {error}"
            raise FileFetchError(message) from error
        allowed = [address for address in addresses if self._is_allowed(parse_address(address))]
        if not allowed:
            message = (
                f"{target.shown}: {target.host} is at {addresses[0]}, which is not on the public internet, "
                "and files are not fetched from there; set serve.fetch.allow_private to allow it"
            )
            raise FileFetchError(message)
        return allowed

    @contextlib.contextmanager
    def _errors_of(self, target: Target, watch: Watch | None = None) -> Generator[None]:
        """Put what goes wrong on the network into words, and tell a broken connection from the rest."""
        try:
            yield
        except NewConnectionError as error:  # to urllib3 it is a kind of timeout
            raise _BrokenError(str(error.__cause__ or error)) from error
        except (TimeoutError, HTTPTimeoutError) as error:
            raise self._too_slow(target) from error
        except ssl.SSLCertVerificationError as error:
            message = f"{target.shown}: its certificate is not valid: {error.verify_message}"
            raise FileFetchError(message) from error
        except ExpiredError as error:
            raise self._too_slow(target) from error
        except (OSError, HTTPError, HTTPException) as error:
            if watch is not None:
                with self._errors_of(target):
                    watch.complain()
            raise _BrokenError(str(error) or type(error).__name__) from error

    def _too_large(self, target: Target) -> FileFetchError:
        return FileFetchError(f"{target.shown} is larger than {self._max_bytes} bytes (serve.fetch.max_size)")

    def _too_slow(self, target: Target) -> FileFetchError:
        return FileFetchError(
            f"{target.shown} took longer than {self._timeout_seconds:g} seconds (serve.fetch.timeout)"
        )


class _BrokenError(Exception):
    """The connection failed in a way that a second try may mend."""


def _parse(url: str) -> Target:
    try:
        return Target.of(url)
    except TargetError as error:
        message = f"{show_url(url)} {error}; only http and https URLs are fetched"
        raise FileFetchError(message) from error
