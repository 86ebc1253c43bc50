"""What went wrong between us and the engine, in words that help."""

import grp
import shutil
import socket
import ssl
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import requests.exceptions
import urllib3.exceptions
from docker.errors import APIError, DockerException, InvalidVersion, TLSParameterError

from servekit.errors import EngineError
from servekit_cli.engine.endpoint import Endpoint

__all__ = ["engine_faults", "explain_absence", "explain_fault"]

_INSTALL: Final = (
    "Install Docker (https://docs.docker.com/engine/install/) or Podman (https://podman.io), "
    "or name an engine elsewhere with DOCKER_HOST."
)


@contextmanager
def engine_faults(endpoint: Endpoint) -> Generator[None]:
    """Turn a lost or refused connection inside the block into an EngineError.

    What the engine answers (`docker.errors.APIError`: no such image, and the like) passes: only the
    caller knows what it means.

    Raises:
        EngineError: The engine went away, does not answer, or was never there.
    """
    try:
        yield
    except APIError:
        raise  # it is a RequestException as well
    except DockerException as error:
        if type(error) not in _WITHOUT_ANSWER:
            raise
        raise EngineError(explain_fault(endpoint, error)) from error
    except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, ConnectionError) as error:
        raise EngineError(explain_fault(endpoint, error)) from error


# What the SDK raises before there is an answer; its other errors are answers.
_WITHOUT_ANSWER: Final = (DockerException, InvalidVersion, TLSParameterError)


def explain_absence() -> str:
    """Say that this machine has no engine, with the remedy that fits what is installed."""
    start = "open -a Docker" if sys.platform == "darwin" else "sudo systemctl start docker"
    if shutil.which("dockerd") or shutil.which("docker"):
        remedy = f"Docker's client is installed, but no engine runs: {start}"
    elif shutil.which("podman"):
        remedy = "Podman is installed, but its socket is off: systemctl --user enable --now podman.socket"
    else:
        remedy = _INSTALL
    return f"There is no engine here to build and run images with.\n{remedy}"


def explain_fault(endpoint: Endpoint, error: BaseException) -> str:
    """Say why an engine cannot be talked to, and what to do.

    Args:
        endpoint: Where it should be.
        error: What was raised when it was tried.
    """
    what = (
        f"The engine at {endpoint.host} ({endpoint.origin})" if endpoint.is_named else f"The engine at {endpoint.host}"
    )
    causes = list(_causes(error))
    if any(_speaks_plain_to_tls(cause) for cause in causes):
        return f"{what} wants TLS.\n{_TLS_REMEDY}"
    for kind, explain in _EXPLANATIONS:
        for cause in causes:
            if isinstance(cause, kind):
                return f"{what} {explain(endpoint, cause)}"
    if "bind address" in str(error) or "npipe" in str(error):
        return f"{what} {_no_address(endpoint, error)}"
    return f"{what} broke off: {causes[-1]}\nSee whether it still runs: docker info"


def _permission(endpoint: Endpoint, _: BaseException) -> str:
    group = _group_of(endpoint.socket)
    return (
        f"does not let you in: you may not use its socket, which belongs to the group {group}.\n"
        f"Join it (sudo usermod -aG {group} $USER, then log in anew; its members can do what root can), or run an "
        "engine of your own: https://docs.docker.com/engine/security/rootless/, or Podman."
    )


def _group_of(path: Path | None) -> str:
    try:
        return grp.getgrgid(path.stat().st_gid).gr_name if path else "docker"
    except (OSError, KeyError):
        return "docker"


def _nothing_there(endpoint: Endpoint, _: BaseException) -> str:
    place = "there is no such socket" if endpoint.socket else "nothing is there"
    return f"is not running: {place}.\n{_named_remedy(endpoint)}"


def _refused(endpoint: Endpoint, _: BaseException) -> str:
    return f"is not running: nothing accepts connections.\n{_named_remedy(endpoint)}"


def _named_remedy(endpoint: Endpoint) -> str:
    if endpoint.is_named:
        return f"Start it, or correct {endpoint.origin}, which names it."
    return "Start it: sudo systemctl start docker"


def _unknown_host(endpoint: Endpoint, _: BaseException) -> str:
    return f"is on a host that cannot be found.\nCorrect {endpoint.origin}."


def _tls(_: Endpoint, error: BaseException) -> str:
    return f"could not be trusted, or does not trust us: {error}\n{_TLS_REMEDY}"


_TLS_REMEDY: Final = (
    "Set DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH to the folder with ca.pem, cert.pem and key.pem for this engine "
    "(without TLS: unset both)."
)


def _slow(_: Endpoint, __: BaseException) -> str:
    return "does not answer.\nSee whether it still runs, or restart it: sudo systemctl restart docker"


def _gone(_: Endpoint, __: BaseException) -> str:
    return "went away in the middle of it.\nSee whether it still runs, and try again: docker info"


def _too_old(_: Endpoint, error: BaseException) -> str:
    return f"is too old: {error}\nDocker 20.10 and Podman 4 are the oldest that work."


def _no_address(_: Endpoint, error: BaseException) -> str:
    return (
        f"is no address: {error}\nAddresses look like unix:///var/run/docker.sock, tcp://host:2376 or ssh://user@host."
    )


def _no_engine(_: Endpoint, error: BaseException) -> str:
    return f"is something else than an engine: {error}"


def _no_ssh(_: Endpoint, __: BaseException) -> str:
    return "is reached over SSH, for which a package is missing.\nInstall it beside servekit: pip install 'docker[ssh]'"


# The order matters: a refusal arrives wrapped in a broken connection.
_EXPLANATIONS: Final = (
    (PermissionError, _permission),
    (FileNotFoundError, _nothing_there),
    (ConnectionRefusedError, _refused),
    ((ssl.SSLError, requests.exceptions.SSLError, TLSParameterError), _tls),
    (InvalidVersion, _too_old),
    (NameError, _no_ssh),  # so does Docker's SDK say that it found no paramiko
    (requests.exceptions.HTTPError, _no_engine),
    ((requests.exceptions.Timeout, TimeoutError), _slow),
    (socket.gaierror, _unknown_host),
    ((ConnectionError, requests.exceptions.ConnectionError, requests.exceptions.ChunkedEncodingError), _gone),
)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and everything below it: requests and urllib3 put causes into arguments as well."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        one = waiting.pop(0)
        if isinstance(one, BaseException) and id(one) not in seen:
            seen.add(id(one))
            yield one
            waiting += [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]


def _speaks_plain_to_tls(error: BaseException) -> bool:
    return isinstance(error, APIError) and "HTTP request to an HTTPS server" in str(error)
