"""The connection to an engine."""

from collections.abc import Generator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Final, Self

import docker

from servekit.errors import EngineError
from servekit_cli.engine.endpoint import DEFAULT_SOCKET, Endpoint, find_endpoints
from servekit_cli.engine.faults import engine_faults, explain_absence
from servekit_cli.engine.features import Features, Kind, find_features

__all__ = ["Engine", "connect"]

_ANSWER_SECONDS: Final = 60  # for one call; an engine that pulls or commits may think for a while
_HELLO_SECONDS: Final = 10


class Engine:
    """What builds and runs images. Close it, or use it as a context manager.

    Attributes:
        client: The Docker SDK's client. Calls go inside `faults()`, so that a lost engine is an EngineError.
        endpoint: Where the engine is.
    """

    def __init__(self, client: docker.DockerClient, endpoint: Endpoint, kind: Kind | None = None) -> None:
        self.client: Final = client
        self.endpoint: Final = endpoint
        self._kind: Kind | None = kind

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self.client.close()

    @cached_property
    def features(self) -> Features:
        """What builds can use.

        Raises:
            EngineError: The engine went away.
        """
        with self.faults():
            return find_features(self.client, self.endpoint.environment, self._kind)

    @contextmanager
    def faults(self) -> Generator[None]:
        """Turn a lost connection inside the block into an EngineError; what the engine answers passes."""
        with engine_faults(self.endpoint):
            yield


def connect(kind: Kind | None = None, *, default: Path = DEFAULT_SOCKET) -> Engine:
    """Connect to the engine that DOCKER_HOST or the docker context names, or else to the one on this machine.

    Args:
        kind: How to build, whatever would be best; for tests and to get around a broken buildx.
        default: Where the system's Docker listens.

    Raises:
        EngineError: There is none, or it does not let us in; the message says which and what to do.
    """
    first: EngineError | None = None
    for endpoint in find_endpoints(default):
        try:
            return Engine(_open(endpoint), endpoint, kind)
        except EngineError as error:
            first = first or error
    raise first or EngineError(explain_absence())


def _open(endpoint: Endpoint) -> docker.DockerClient:
    with engine_faults(endpoint):
        client = docker.DockerClient(
            base_url=endpoint.host,
            tls=endpoint.tls or False,
            timeout=_HELLO_SECONDS,  # the version is asked for here
            use_ssh_client=endpoint.host.startswith("ssh://"),
        )
    client.api.timeout = _ANSWER_SECONDS
    return client
