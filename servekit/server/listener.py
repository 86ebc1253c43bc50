"""The socket that the server listens on, bound before anything is started."""

import contextlib
import errno
import socket

from servekit.errors import ListenError

__all__ = ["describe_address", "describe_listener", "open_listener"]

_BACKLOG = 2048
_ALL = ("0.0.0.0", "::")  # noqa: S104 - compared with, not bound


def open_listener(host: str, port: int, *, stall_seconds: float) -> socket.socket:
    """Bind and listen; connections wait in the kernel until somebody accepts them.

    Args:
        host: The address, or a name for one.
        port: The port; 0 takes any that is free.
        stall_seconds: After which the kernel gives up a connection whose other end takes nothing.

    Raises:
        ListenError: The port is taken, or the address is none of this machine's.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ListenError(f"cannot listen on {host}: {error.strerror}; name another address with --host") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _limit_stalls(listener, stall_seconds)
        listener.bind(address)
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise ListenError(_explain(error, host, port)) from error
    return listener


def describe_address(listener: socket.socket) -> str:
    """Return the URL under which a listener is found on this machine."""
    host, port = listener.getsockname()[:2]
    return f"http://{_join('127.0.0.1' if host in _ALL else host, port)}"


def describe_listener(listener: socket.socket) -> str:
    """Return where a listener listens, for a person: who listens for all is open to other machines as well."""
    host, port = listener.getsockname()[:2]
    url = describe_address(listener)
    return f"{_join(host, port)}, on this machine {url}" if host in _ALL else url


def _join(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _limit_stalls(listener: socket.socket, seconds: float) -> None:
    """Let the kernel end connections that take nothing; those that are accepted inherit it.

    The server notices a stalled stream itself, but what was handed to the kernel only the kernel can drop.
    """
    option = getattr(socket, "TCP_USER_TIMEOUT", None)  # not on every system
    if option is not None:
        with contextlib.suppress(OSError):
            listener.setsockopt(socket.IPPROTO_TCP, option, max(1, int(seconds * 1000)))


def _explain(error: OSError, host: str, port: int) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return f"port {port} is taken by another process; choose another with --port, or 0 for any that is free"
        case errno.EACCES:
            return f"port {port} may only be used by root; choose one above 1023 with --port"
        case errno.EADDRNOTAVAIL:
            return f"{host} is no address of this machine; name one with --host, or 0.0.0.0 for all"
        case _:
            return f"cannot listen on {host} port {port}: {error.strerror}"
