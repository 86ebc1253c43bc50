"""The calls that bring a container to life, one after the other."""

import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from docker.errors import APIError
from docker.models.containers import Container

from servekit_cli.container.faults import explain_refusal
from servekit_cli.container.leash import Leash, put_on_leash
from servekit_cli.container.request import ContainerRequest
from servekit_cli.engine import Engine

__all__ = ["Connections", "close_stream", "start_container"]

Output = Iterable[tuple[bytes | None, bytes | None]]
"""Pieces of stdout and stderr."""


@dataclass(frozen=True)
class Connections:
    """What connects this process with a container that runs.

    Attributes:
        output: What it prints.
        events: What the engine tells of it; they go on after its end.
        leash: What holds it.
        port: Where its port is reached on the engine's host; None if it has ended already.
    """

    output: Output
    events: Iterable[dict[str, Any]]
    leash: Leash | None
    port: int | None


def start_container(engine: Engine, request: ContainerRequest, *, grace_seconds: float) -> Connections:
    """Make a container and start it.

    The connections are made before it runs, so that nothing it does is missed.

    Args:
        engine: Where.
        request: What is wanted.
        grace_seconds: How long it may take to stop when this process is gone.

    Raises:
        EngineError: The engine went away.
        ServekitError: It refused; the message says why. A container may be there all the same.
    """
    with engine.faults(), contextlib.ExitStack() as streams:
        try:
            container = engine.client.containers.create(**request.arguments())
            # Since the beginning of time: what happens before the engine has begun to tell is told as well.
            events = engine.client.events(decode=True, since=0, filters={"container": container.id})
            streams.callback(close_stream, events)
            output: Output = engine.client.api.attach(request.name, stream=True, demux=True)
            streams.callback(close_stream, output)
            container.start()
        except APIError as error:
            raise explain_refusal(error, request, _find_holder(engine, request)) from error
        leash = put_on_leash(engine, request.name, grace_seconds=grace_seconds)
        port = _find_port(container, request.publication.inner_port)
        streams.pop_all()
        return Connections(output, events, leash, port)


def close_stream(stream: Any) -> None:
    """Close a stream of the engine, which ends whoever reads it.

    The SDK knows how to do that for some transports, and fails for others (SSH) in ways of its own; their
    streams end with the connection.
    """
    close: Callable[[], None] = stream.close
    with contextlib.suppress(Exception):
        close()


def _find_port(container: Container, inner_port: int) -> int | None:
    with contextlib.suppress(APIError):
        container.reload()
        for binding in container.ports.get(f"{inner_port}/tcp") or ():
            return int(binding["HostPort"])
    return None


def _find_holder(engine: Engine, request: ContainerRequest) -> str | None:
    """Find the container that has a port already."""
    port = request.publication.port
    if not port:
        return None
    with contextlib.suppress(APIError):
        for other in engine.client.containers.list(ignore_removed=True, filters={"publish": str(port)}):
            if other.name != request.name:
                return str(other.name)
    return None
