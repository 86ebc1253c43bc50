"""One container as it is asked for."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from docker import types

from servekit_cli.container.options import Mount, RunOptions

__all__ = ["INNER_PORT", "ContainerRequest", "Publication", "new_name"]

INNER_PORT: Final = 5000
"""Where the server listens in the container, unless there is a reason for another one."""


def new_name(command: str) -> str:
    """Return a name that no other container has, which says what made it."""
    return f"servekit-{command}-{secrets.token_hex(6)}"


@dataclass(frozen=True)
class Publication:
    """Where a port of the container is reached on the engine's host.

    Attributes:
        inner_port: In the container.
        host: The address on the engine's host; empty for all of them.
        port: The port there; 0 for any free one.
    """

    inner_port: int
    host: str
    port: int


@dataclass(frozen=True)
class ContainerRequest:
    """All that the engine is told about a container.

    Attributes:
        name: A name that no other container has, so that this one is found whatever happens.
        image: The id of its image.
        labels: Who has made it.
        environment: Its variables, beside those of the image.
        publication: Where its port is reached.
        options: What the user said.
        has_gpu: Whether it gets GPUs, those that the options name.
        checks_health: Whether the engine runs the image's health check.
    """

    name: str
    image: str
    labels: Mapping[str, str]
    environment: Mapping[str, str]
    publication: Publication
    options: RunOptions
    has_gpu: bool = False
    checks_health: bool = True

    def arguments(self) -> dict[str, Any]:
        """Return the arguments for `containers.create` of the Docker SDK."""
        port = self.publication
        options = self.options
        arguments: dict[str, Any] = {
            "image": self.image,
            "name": self.name,
            "labels": dict(self.labels),
            "environment": dict(self.environment),
            # What no longer runs is gone, whether or not we are still there to see it.
            "auto_remove": True,
            "ports": {f"{port.inner_port}/tcp": (port.host, port.port or None)},
            "mounts": [_mount(each) for each in options.mounts],
        }
        if options.memory_bytes is not None:
            # Without the second limit the container would get as much swap on top.
            arguments |= {"mem_limit": options.memory_bytes, "memswap_limit": options.memory_bytes}
        if options.cpus is not None:
            arguments["nano_cpus"] = int(options.cpus * 1e9)
        if self.has_gpu:
            arguments["device_requests"] = [_gpus(options.gpus)]
        if not self.checks_health:
            arguments["healthcheck"] = {"test": ["NONE"]}
        return arguments


def _mount(mount: Mount) -> types.Mount:
    return types.Mount(
        mount.target, mount.source, type="volume" if mount.is_volume else "bind", read_only=mount.is_read_only
    )


def _gpus(choice: str) -> types.DeviceRequest:
    if choice in ("auto", "all"):
        return types.DeviceRequest(count=-1, capabilities=[["gpu"]])
    return types.DeviceRequest(device_ids=choice.split(","), capabilities=[["gpu"]])
