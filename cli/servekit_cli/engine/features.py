"""What an engine, and the docker client beside it, can do for a build."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from docker import DockerClient

__all__ = ["BuildClient", "Features", "Kind", "find_build_client", "find_features"]

Kind = Literal["buildx", "buildkit", "classic"]

_BUILDKIT_SINCE_API: Final = (1, 39)
_LINK_SINCE: Final = (23,)  # the Dockerfile frontend 1.4 came with the engine's BuildKit 0.10
_EPOCH_SINCE: Final = (24,)  # SOURCE_DATE_EPOCH came with its BuildKit 0.11
_RAWJSON_SINCE: Final = (0, 13)
_BUILT_IN_BEFORE: Final = (23,)  # later clients leave BuildKit to buildx


@dataclass(frozen=True)
class BuildClient:
    """A docker client on PATH that speaks BuildKit's own protocol.

    Attributes:
        command: What to call, `docker buildx build` in most cases.
        is_buildx: Whether it is buildx, and not the smaller client inside docker 20.10.
        has_rawjson: Whether it can report its progress as JSON.
    """

    command: tuple[str, ...]
    is_buildx: bool
    has_rawjson: bool


@dataclass(frozen=True)
class Features:
    """What builds can use.

    Attributes:
        kind: How images are built: by the docker client (`buildx`), by BuildKit through the engine's API
            (`buildkit`), or by the engine's old builder or Podman's (`classic`).
        mounts: Whether `RUN --mount=type=cache` and `type=bind` work.
        secrets: Whether `RUN --mount=type=secret` works.
        link: Whether `COPY --link` works.
        epoch: Whether SOURCE_DATE_EPOCH sets the time at which the image was made.
        engine_version: As the engine says it.
        is_podman: Whether the engine is Podman.
        client: What builds with kind `buildx`.
    """

    kind: Kind
    mounts: bool
    secrets: bool
    link: bool
    epoch: bool
    engine_version: str
    is_podman: bool
    client: BuildClient | None = None


def find_features(docker: DockerClient, environment: Mapping[str, str], kind: Kind | None = None) -> Features:
    """Ask an engine, and the docker client on PATH, what they can do.

    Args:
        docker: The connection.
        environment: What the client needs to talk to the same engine.
        kind: Take this way of building, if it is possible, even where there is a better one.
    """
    answer = docker.version()
    is_podman = any("Podman" in str(part.get("Name")) for part in answer.get("Components") or ())
    has_buildkit = not is_podman and _numbers(docker.api.api_version) >= _BUILDKIT_SINCE_API
    client = find_build_client(environment) if has_buildkit and kind in (None, "buildx") else None
    possible: list[Kind] = ["classic"]
    possible[:0] = ["buildkit"] if has_buildkit else []
    possible[:0] = ["buildx"] if client else []
    chosen = kind if kind in possible else possible[0]
    return _features(chosen, answer, client if chosen == "buildx" else None, is_podman=is_podman)


def _features(kind: Kind, answer: dict[str, Any], client: BuildClient | None, *, is_podman: bool) -> Features:
    version = str(answer.get("Version", ""))
    return Features(
        kind=kind,
        mounts=kind != "classic" or is_podman,
        secrets=kind == "buildx",
        link=kind != "classic" and _numbers(version) >= _LINK_SINCE,
        epoch=kind == "buildx" and _numbers(version) >= _EPOCH_SINCE,
        engine_version=version,
        is_podman=is_podman,
        client=client,
    )


def find_build_client(environment: Mapping[str, str]) -> BuildClient | None:
    """Find a docker client that builds with BuildKit; None if there is none."""
    if shutil.which("docker") is None:
        return None
    # The subcommand fails, and then says nothing that matters, where the plugin is missing.
    if found := re.search(r"buildx v?(\d+\.\d+)", _ask("docker", "buildx", "version", environment=environment)):
        has_rawjson = _numbers(found[1]) >= _RAWJSON_SINCE
        return BuildClient(("docker", "buildx", "build"), is_buildx=True, has_rawjson=has_rawjson)
    found = re.search(r"Docker version (\d+\.\d+)", _ask("docker", "--version", environment=environment))
    if found and _BUILDKIT_CLIENT_SINCE <= _numbers(found[1]) < _BUILT_IN_BEFORE:
        return BuildClient(("docker", "build"), is_buildx=False, has_rawjson=False)
    return None


_BUILDKIT_CLIENT_SINCE: Final = (19,)


def _ask(*command: str, environment: Mapping[str, str]) -> str:
    try:
        done = subprocess.run(
            command,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:2])
