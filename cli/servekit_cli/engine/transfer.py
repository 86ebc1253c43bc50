"""Images on their way to a registry and from one."""

import re
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from typing import Any, Final, cast

from docker.auth import resolve_repository_name
from docker.credentials.errors import StoreError
from docker.errors import APIError, DockerException, NotFound

from servekit.errors import ImageError
from servekit_cli.engine.connection import Engine
from servekit_cli.engine.reference import ImageName, parse_image_name
from servekit_cli.sizes import describe_size

__all__ = ["Report", "pull_image", "push_image"]

Report = Callable[[str], None]
"""Called with a line on how far it is, again and again."""


def push_image(engine: Engine, name: str, report: Report) -> str:
    """Send an image to the registry that its name says. Layers that are there already are not sent.

    The credentials are those of `docker login`: Docker's config and its credential helpers.

    Returns:
        The digest under which the registry has it.

    Raises:
        UsageError: It cannot be a name.
        ImageError: There is no such image, or the registry does not take it.
        EngineError: The engine went away.
    """
    target = parse_image_name(name)
    with _registry_faults(engine, target, "pushed"):
        push = engine.client.api.push  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] - half typed
        stream = cast("_Stream", push(target.repository, target.tag, stream=True, decode=True))
        return _follow(stream, target, "pushed", report)


def pull_image(engine: Engine, name: str, report: Report) -> None:
    """Get an image from the registry that its name says.

    Raises:
        UsageError: It cannot be a name.
        ImageError: The registry has none, or does not give it.
        EngineError: The engine went away.
    """
    target = parse_image_name(name, may_have_digest=True)
    with _registry_faults(engine, target, "pulled"):
        pull = engine.client.api.pull  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] - half typed
        stream = cast("_Stream", pull(target.repository, target.tag, stream=True, decode=True))
        _follow(stream, target, "pulled", report)


_Stream = Iterable[dict[str, Any]]


def _follow(stream: _Stream, target: ImageName, doing: str, report: Report) -> str:
    """Read what the engine says until it is done; errors are messages as well."""
    layers = _Layers()
    digest = ""
    for message in stream:
        if "error" in message:
            raise _explain(target, doing, str(message["error"]))
        if found := _DIGEST.search(str(message.get("status", ""))):
            digest = found[1]
        if layers.take(message):
            report(layers.describe())
    return digest


_DIGEST: Final = re.compile(r"[Dd]igest: (sha256:[0-9a-f]{64})")


class _Layers:
    """How far each layer is."""

    def __init__(self) -> None:
        self._amounts: dict[str, tuple[int, int]] = {}
        self._done: set[str] = set()

    def take(self, message: dict[str, Any]) -> bool:
        """Note a message; whether it was about a layer."""
        layer, status = str(message.get("id", "")), str(message.get("status", ""))
        if not layer or status.startswith("Pulling from"):
            return False
        self._amounts.setdefault(layer, (0, 0))
        if status in _DONE:
            self._done.add(layer)
        elif status in _MOVING and (detail := message.get("progressDetail")):
            self._amounts[layer] = (detail.get("current", 0), detail.get("total", 0))
        return True

    def describe(self) -> str:
        text = f"{len(self._done)} of {len(self._amounts)} layers"
        moved = sum(total if layer in self._done else current for layer, (current, total) in self._amounts.items())
        total = sum(total for _, total in self._amounts.values())
        return f"{text}, {describe_size(moved)} of {describe_size(max(total, moved))}" if total else text


_MOVING: Final = ("Pushing", "Downloading")
_DONE: Final = ("Pushed", "Layer already exists", "Already exists", "Pull complete")


@contextmanager
def _registry_faults(engine: Engine, target: ImageName, doing: str) -> Generator[None]:
    with engine.faults():
        try:
            yield
        except NotFound as error:
            raise _explain(target, doing, str(error.explanation)) from error
        except APIError as error:
            raise _explain(target, doing, str(error.explanation)) from error
        except DockerException as error:
            if not isinstance(error.__cause__, StoreError):
                raise
            reason = " ".join(str(error.__cause__).removeprefix("Credentials store ").split())
            raise ImageError(
                f"{target} could not be {doing}: the credential helper for {_host(target)} failed: {reason}\n"
                "Docker's config.json names it under credHelpers or credsStore; see whether docker login works."
            ) from error


def _explain(target: ImageName, doing: str, words: str) -> ImageError:
    if _MISSING_HERE.search(words):  # which no registry was asked for
        return ImageError(f"There is no image {target} here.\nBuild it first: servekit build -t {target}")
    remedy = next((remedy for pattern, remedy in _REMEDIES if pattern.search(words)), "")
    text = f"{target} could not be {doing}. The registry says: {words}"
    return ImageError(f"{text}\n{remedy.format(host=_host(target))}".rstrip())


def _host(target: ImageName) -> str:
    return str(resolve_repository_name(target.repository)[0])


def _remedy(pattern: str, remedy: str) -> tuple[re.Pattern[str], str]:
    return re.compile(pattern, re.IGNORECASE), remedy


_MISSING_HERE: Final = re.compile("does not exist locally|No such image", re.IGNORECASE)
_REMEDIES: Final = (
    _remedy(
        "unauthorized|authentication required|no basic auth|access.* denied|denied:",
        "Log in with an account that may do this: docker login {host}",
    ),
    _remedy(
        "HTTP response to HTTPS client",
        'The registry speaks no TLS. If it is meant to be so, name "{host}" under insecure-registries in daemon.json '
        "(Podman: insecure = true in registries.conf).",
    ),
    _remedy(
        "x509|certificate",
        "The engine does not trust the registry. Give it the CA: /etc/docker/certs.d/{host}/ca.crt",
    ),
    _remedy(
        "no such host|connection refused|i/o timeout|deadline exceeded|unreachable|EOF",
        "The engine cannot reach {host}. Check the name, its network and its proxy.",
    ),
    _remedy("not found|manifest unknown", "The registry has no such image. Check name and tag."),
)
