"""Build an image: choose the way, show what happens, and say why if it fails."""

from collections.abc import Generator, Iterator
from contextlib import closing
from typing import Final

from servekit.errors import EngineError, ImageBuildError, UsageError
from servekit_cli.ending import terminable
from servekit_cli.engine.api_build import build_by_api
from servekit_cli.engine.client_build import build_by_client
from servekit_cli.engine.connection import Engine
from servekit_cli.engine.events import BuildEvent, BuildFailed, ImageBuilt
from servekit_cli.engine.failure import describe_failure, is_engine_loss
from servekit_cli.engine.features import Features
from servekit_cli.engine.reference import check_tag
from servekit_cli.engine.request import BuildRequest
from servekit_cli.engine.steps import Steps
from servekit_cli.engine.views import BuildView

__all__ = ["build_events", "build_image"]

_LONGEST_LABEL: Final = 130_000  # an argument of a program may have 131072 bytes with its end, the name included


def build_image(engine: Engine, request: BuildRequest, view: BuildView) -> str:
    """Build an image and wait for its end.

    Ctrl-C, SIGTERM and any other error end the build at once; nothing of it goes on.

    Args:
        engine: What builds it.
        request: What to build.
        view: What shows the user how it goes.

    Returns:
        The image's id.

    Raises:
        UsageError: A tag is none, or the request has secrets and there is no way to pass them on.
        ImageBuildError: A step failed; the message shows the step, the end of its output, and a remedy. Or a
            label is too long.
        EngineError: The engine went away.
    """
    _check(engine.features, request)
    steps = Steps()
    last: BuildEvent | None = None
    with terminable(), closing(build_events(engine, request)) as events, view:
        for event in events:
            view.show(event, steps.take(event))
            last = event
    if isinstance(last, ImageBuilt):
        return last.image_id
    raise _explain(engine, steps, last.message if isinstance(last, BuildFailed) else "")


def build_events(engine: Engine, request: BuildRequest) -> Generator[BuildEvent]:
    """Build an image and give what happens. Closing the generator ends the build.

    Raises:
        EngineError: The engine went away.
    """
    client = engine.features.client
    events: Iterator[BuildEvent]
    events = build_by_client(engine, client, request) if client else build_by_api(engine, request)
    yield from events


def _check(features: Features, request: BuildRequest) -> None:
    for tag in request.tags:
        check_tag(tag)
    if request.secrets and not features.secrets:
        names = ", ".join(secret.id for secret in request.secrets)
        remedy = _PODMAN_REMEDY if features.is_podman else _BUILDX_REMEDY
        raise UsageError(f"The secret {names} cannot be passed to this build: {remedy}")
    for name, text in request.labels.items():
        if (size := len(text.encode())) > _LONGEST_LABEL:
            raise ImageBuildError(f"The label {name} would have {size} bytes; {_LONGEST_LABEL} are possible.")


_BUILDX_REMEDY: Final = (
    "only the docker client with buildx can do that.\n"
    "Install Docker's buildx plugin (https://docs.docker.com/go/buildx/)."
)
_PODMAN_REMEDY: Final = "Podman's Docker-compatible socket takes none.\nBuild with Docker and its buildx plugin."


def _explain(engine: Engine, steps: Steps, message: str) -> EngineError | ImageBuildError:
    if is_engine_loss(message):
        return EngineError(
            f"The engine at {engine.endpoint.host} went away during the build.\nSee whether it still runs: docker info"
        )
    return ImageBuildError(describe_failure(steps.failed, message))
