"""Connections for requests that block their thread, and yet keep to a deadline and end with their prediction."""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from servekit.errors import CancelationError
from servekit.runtime.targets import Target

__all__ = ["WATCH_SECONDS", "ExpiredError", "Watch", "connect"]

WATCH_SECONDS: Final = 0.05
"""How often one looks whether a prediction was canceled; short beside what a person notices."""


class ExpiredError(Exception):
    """The time for the whole request is up."""


def connect(target: Target, addresses: Sequence[str], deadline: float) -> HTTPConnection:
    """Connect to the first address that answers; TLS and the certificate are for the name in the target.

    Args:
        target: What the request goes to.
        addresses: Where that is, at least one.
        deadline: Until when, as `time.monotonic` counts. What the connection waits for afterwards has the same limit.

    Raises:
        OSError, HTTPError: None answers.
    """
    *others, last = addresses
    for address in others:
        with contextlib.suppress(OSError, HTTPError):
            return _connect_to(address, target, deadline)
    return _connect_to(last, target, deadline)


def _connect_to(address: str, target: Target, deadline: float) -> HTTPConnection:
    connection = _make_connection(target, address, max(deadline - time.monotonic(), 0.001))
    try:
        connection.connect()
    except BaseException:
        connection.close()
        raise
    return connection


def _make_connection(target: Target, address: str, timeout_seconds: float) -> HTTPConnection:
    if not target.is_encrypted:
        return HTTPConnection(address, target.port, timeout=timeout_seconds)
    context = ssl.create_default_context()
    return HTTPSConnection(
        address, target.port, timeout=timeout_seconds, ssl_context=context, server_hostname=target.host
    )


class Watch:
    """Cuts a connection when time is up or the prediction is canceled, from a thread of its own.

    A timeout on the socket holds for one read or write only, and whoever moves a byte now and then never meets it.

    Args:
        sock: What the connection is made of.
        deadline: When time is up, as `time.monotonic` counts.
        is_cancelled: Asked now and then.
    """

    def __init__(self, sock: socket.socket | None, deadline: float, is_cancelled: Callable[[], bool]) -> None:
        assert sock is not None, "the connection is open"
        self._sock = sock
        self._deadline = deadline
        self._is_cancelled = is_cancelled
        self._done = threading.Event()
        self._reason: type[BaseException] | None = None
        self._thread = threading.Thread(target=self._run, name="servekit-watch", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def complain(self) -> None:
        """Raise why the connection was cut, if it was: `ExpiredError` or `CancelationError`."""
        if self._reason is not None:
            raise self._reason

    def _run(self) -> None:
        while self._reason is None:
            left = self._deadline - time.monotonic()
            if self._done.wait(min(WATCH_SECONDS, max(left, 0))):
                return
            if self._is_cancelled():
                self._reason = CancelationError
            elif left <= WATCH_SECONDS:
                self._reason = ExpiredError
        with contextlib.suppress(OSError):
            # The plain socket's: that of TLS would take the session from under the thread that reads.
            socket.socket.shutdown(self._sock, socket.SHUT_RDWR)
