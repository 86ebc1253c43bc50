"""What the engine says when a container cannot be made or started, in words that help."""

import re
from collections.abc import Callable
from typing import Final

from docker.errors import APIError, ImageNotFound

from servekit.errors import ContainerError, ImageError, ListenError, ServekitError, UsageError
from servekit_cli.container.request import ContainerRequest

__all__ = ["explain_refusal"]


def explain_refusal(error: APIError, request: ContainerRequest, holder: str | None) -> ServekitError:
    """Say why the engine did not start a container.

    Args:
        error: What it answered.
        request: What it was asked.
        holder: The container that has the port already, if that is known.
    """
    said = str(error.explanation or error)
    if isinstance(error, ImageNotFound):
        return ImageError(f"The image {request.image} was removed before its container was started.")
    for pattern, explain in _EXPLANATIONS:
        if re.search(pattern, said, re.IGNORECASE):
            return explain(said, request, holder)
    return ContainerError(f"The container could not be started: {said}")


def _explain_taken_port(_: str, request: ContainerRequest, holder: str | None) -> ServekitError:
    port = request.publication.port
    who = f"the container {holder} has it" if holder else "another program has it"
    return ListenError(f"Port {port} is taken: {who}.\nStop that, or choose another port with --port.")


def _explain_address(_: str, request: ContainerRequest, __: str | None) -> ServekitError:
    return ListenError(
        f"{request.publication.host} is not an address of the engine's host.\n"
        "Use --host 127.0.0.1 for that host alone, or --host 0.0.0.0 for all of its addresses."
    )


def _explain_port_right(_: str, request: ContainerRequest, __: str | None) -> ServekitError:
    return ListenError(f"The engine may not listen on port {request.publication.port}.\nChoose one above 1023.")


def _explain_no_toolkit(_: str, __: ContainerRequest, ___: str | None) -> ServekitError:
    return ContainerError(
        "The engine cannot give GPUs to containers: its host has no NVIDIA container toolkit.\n"
        "Install it (https://docs.nvidia.com/datacenter/cloud-native/container-toolkit), or do without: --gpus none"
    )


def _explain_driver(said: str, _: ContainerRequest, __: str | None) -> ServekitError:
    return ContainerError(
        f"The NVIDIA container toolkit refused the container: {said}\n"
        "See whether the driver works (nvidia-smi), and whether --gpus names GPUs that are there."
    )


def _explain_mount(said: str, _: ContainerRequest, __: str | None) -> ServekitError:
    return UsageError(
        f"--volume names what is not there: {said}\nThe path must exist on the host of the engine; make it first."
    )


# What Docker 20.10 to 28 and Podman 4 say; the order is from the special to the general.
_EXPLANATIONS: Final[tuple[tuple[str, Callable[[str, ContainerRequest, str | None], ServekitError]], ...]] = (
    (r"cannot assign requested address", _explain_address),
    (r"expose privileged port|bind( host port .*)?: permission denied", _explain_port_right),
    (r"port is already allocated|address already in use|failed to bind host port", _explain_taken_port),
    (r"could not select device driver|unresolvable CDI devices", _explain_no_toolkit),
    (r"nvidia-container-cli|nvidia-container-runtime", _explain_driver),
    (r"bind source path does not exist|statfs .*no such file", _explain_mount),
)
