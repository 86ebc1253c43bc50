"""Where a container's port is published, and where it is reached from here."""

from urllib.parse import urlsplit

from servekit_cli.engine import Engine

__all__ = ["format_url", "is_remote", "reachable_host"]

_LOOPBACK = "127.0.0.1"
_EVERYWHERE = ("", "0.0.0.0", "::")  # noqa: S104 - names for all addresses, which are replaced here


def is_remote(engine: Engine) -> bool:
    """Whether the engine publishes ports on another machine than this one."""
    return reachable_host(engine) not in (_LOOPBACK, "localhost", "::1")


def reachable_host(engine: Engine) -> str:
    """Return the host that publishes an engine's ports, as this machine knows it."""
    if engine.endpoint.socket is not None:
        return _LOOPBACK
    return urlsplit(engine.endpoint.host).hostname or _LOOPBACK


def format_url(engine: Engine, host: str, port: int) -> str:
    """Return the URL of a published port.

    Args:
        engine: Who publishes it.
        host: On which of its addresses; its own loopback address, or all of them, are named as they are known here.
        port: The port.
    """
    name = host if host not in (*_EVERYWHERE, _LOOPBACK) else reachable_host(engine)
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"
