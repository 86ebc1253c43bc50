"""What is asked of an engine when it builds an image."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["BuildRequest", "BuildSecret"]


@dataclass(frozen=True)
class BuildSecret:
    """Something that steps may read at /run/secrets/ID while they run, and that is in no layer.

    Attributes:
        id: Its name, as in `RUN --mount=type=secret,id=...`.
        file: The file that holds it; None when `value` does.
        value: The secret itself. It goes to the docker client in its environment, never as an argument.
    """

    id: str
    file: Path | None = None
    value: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class BuildRequest:
    """One image to build.

    Attributes:
        context: The folder that is sent to the engine, less what its .dockerignore names.
        dockerfile: The Dockerfile's path inside of it.
        tags: Names for the image; none gives an image that has only its id.
        labels: Labels. The client takes each of them as an argument, which Linux limits to 128 KiB.
        build_args: Values of ARG, and the predefined ones such as HTTP_PROXY. They can be read in the
            image's history, unless they are predefined.
        secrets: What only the docker client can pass on.
        platform: `linux/arm64` and the like; None for the engine's own.
        network: The network of RUN steps: `none`, `host`, or the engine's default.
        no_cache: Whether every step runs anew.
        pull: Whether base images are looked up at their registry even when they are here.
        source_date_epoch: Seconds since 1970 for the times in the image; None for those of the build.
    """

    context: Path
    dockerfile: str = "Dockerfile"
    tags: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    build_args: Mapping[str, str] = field(default_factory=dict[str, str])
    secrets: tuple[BuildSecret, ...] = ()
    platform: str | None = None
    network: str | None = None
    no_cache: bool = False
    pull: bool = False
    source_date_epoch: int | None = None

    @property
    def all_build_args(self) -> dict[str, str]:
        """The build args, with the one for the image's times."""
        epoch = {} if self.source_date_epoch is None else {"SOURCE_DATE_EPOCH": str(self.source_date_epoch)}
        return {**epoch, **self.build_args}
