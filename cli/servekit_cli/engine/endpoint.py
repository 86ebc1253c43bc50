"""Where an engine may be: at what the environment or Docker's config names, else at the usual sockets."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from docker.context import Context
from docker.context.config import get_current_context_name
from docker.errors import TLSParameterError
from docker.tls import TLSConfig
from docker.utils import kwargs_from_env

from servekit.errors import EngineError

__all__ = ["DEFAULT_SOCKET", "Endpoint", "find_endpoints"]

DEFAULT_SOCKET: Final = Path("/var/run/docker.sock")


@dataclass(frozen=True)
class Endpoint:
    """One address of an engine.

    Attributes:
        host: `unix:///...`, `tcp://...`, `ssh://...`.
        origin: Who named it, for messages.
        tls: What to present and to trust; None for a connection without TLS.
        is_named: Whether the user named it, so that no other one is tried in its place.
        environment: What a docker client needs in its environment to talk to the same engine.
        builder: The name under which buildx knows this engine's own builder.
    """

    host: str
    origin: str
    tls: TLSConfig | None = None
    is_named: bool = False
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    builder: str = "default"

    @property
    def socket(self) -> Path | None:
        """The socket's file, if it is one of this machine."""
        scheme, _, path = self.host.partition("://")
        return Path(path) if scheme == "unix" else None


def find_endpoints(default: Path = DEFAULT_SOCKET) -> list[Endpoint]:
    """List where to look for an engine, best first, in the order of the docker client itself.

    Args:
        default: Where the system's Docker listens.

    Returns:
        One that is named by DOCKER_HOST, DOCKER_CONTEXT or Docker's config; else the sockets that exist.

    Raises:
        EngineError: What is named does not exist, or its certificates cannot be read.
    """
    try:
        if os.environ.get("DOCKER_HOST"):
            return [_from_variables()]
        # The client reads the variable before its config file.
        name = os.environ.get("DOCKER_CONTEXT") or get_current_context_name()
        if name and name != "default":
            return [_from_context(name)]
        return [_at(socket, default) for socket in _sockets(default) if socket.exists()]
    except TLSParameterError as error:
        raise EngineError(
            f"The certificates for the engine cannot be used: {str(error).partition(' TLS configurations')[0]}\n"
            "DOCKER_CERT_PATH must name a folder with ca.pem, cert.pem and key.pem."
        ) from error


def _from_variables() -> Endpoint:
    settings = kwargs_from_env(os.environ)
    host = os.environ["DOCKER_HOST"]
    return Endpoint(host=host, origin="DOCKER_HOST", tls=settings.get("tls"), is_named=True)


def _from_context(name: str) -> Endpoint:
    context = Context.load_context(name)
    if context is None or not context.Host:
        raise EngineError(
            f'There is no docker context "{name}" (named by DOCKER_CONTEXT or by Docker\'s config).\n'
            "`docker context ls` lists them; `docker context use default` goes back to this machine's engine."
        )
    return Endpoint(
        host=context.Host, origin=f'docker context "{name}"', tls=context.TLSConfig, is_named=True, builder=name
    )


def _at(socket: Path, default: Path) -> Endpoint:
    host = f"unix://{socket}"
    environment = {} if socket == default == DEFAULT_SOCKET else {"DOCKER_HOST": host}
    return Endpoint(host=host, origin=str(socket), environment=environment)


def _sockets(default: Path) -> Iterator[Path]:
    """The places where engines put their sockets, rootless ones and Podman's compatible one included."""
    yield default
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}")
    home = Path.home()
    yield runtime / "docker.sock"
    yield home / ".docker/run/docker.sock"
    yield home / ".docker/desktop/docker.sock"
    yield home / ".colima/default/docker.sock"
    yield runtime / "podman/podman.sock"
    yield Path("/run/podman/podman.sock")
