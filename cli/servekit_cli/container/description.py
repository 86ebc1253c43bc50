"""Ask an image what is in it, in a throw-away container."""

import contextlib
import secrets
from collections.abc import Generator
from typing import Any, Final

import requests
import urllib3
from docker.errors import APIError
from docker.models.containers import Container

from servekit.errors import ContainerError, ImageBuildError, PredictorError, ServekitError, SetupError, SignatureError
from servekit_cli.container.ownership import label_owner
from servekit_cli.container.removal import remove_container
from servekit_cli.engine import Engine
from servekit_cli.hints import add_package_hint
from servekit_cli.image.description import Description, read_description

__all__ = ["describe_image"]

_SECONDS: Final = 600.0
"""As long as serve.setup_timeout is by default; importing is less than setup."""
_PROGRAM: Final = ["-P", "-m", "servekit.server.describe", "--spec", "/app"]
_LAST_LINES: Final = 50
_REMEDY: Final = (
    "An image that is built by a Dockerfile of your own needs Python 3.11 or newer as `python`, "
    "servekit[server] installed in it, and the project in /app."
)


def describe_image(
    engine: Engine, image: str, *, platform: str | None = None, seconds: float = _SECONDS
) -> Description:
    """Import the predictor of an image without running its setup, and list what is installed.

    The container has no network and a read-only root, runs as the image's user, and is gone afterwards.

    Args:
        engine: Where the image is.
        image: Its id, or its name.
        platform: What it was built for, if that is not the engine's own.
        seconds: How long importing may take.

    Raises:
        PredictorError: The image has no predictor that can be used.
        ContainerError: No container can be made of the image, as it is not there.
        SetupError: The predictor's module could not be imported; the message has its traceback.
        ImageBuildError: The image cannot be asked.
        EngineError: The engine went away.
    """
    with engine.faults(), _throw_away(engine, image, platform) as container:
        try:
            container.start()
            code = int(container.wait(timeout=seconds)["StatusCode"])
        except APIError as error:
            message = f"The image cannot be started: {error.explanation}\n{_REMEDY}"
            raise ImageBuildError(message) from error
        except (requests.exceptions.ReadTimeout, requests.exceptions.ConnectionError) as error:
            if not _is_timeout(error):
                raise  # the engine went away
            raise SetupError(f"the predictor's module was not imported within {seconds:g} seconds") from error
        answer, complaint = (_read(container, source) for source in ("stdout", "stderr"))
    if code:
        raise _explain(code, complaint)
    return read_description(answer)


@contextlib.contextmanager
def _throw_away(engine: Engine, image: str, platform: str | None) -> Generator[Container]:
    name = f"servekit-describe-{secrets.token_hex(6)}"
    try:
        yield _create(engine, image, name, platform)
    finally:
        remove_container(engine, name)


def _create(engine: Engine, image: str, name: str, platform: str | None) -> Container:
    try:
        return engine.client.containers.create(
            image,
            name=name,
            entrypoint=["python"],
            command=_PROGRAM,
            healthcheck={"test": ["NONE"]},
            labels=label_owner(),
            network_mode="none",
            platform=platform,
            read_only=True,
            tmpfs={"/tmp": ""},  # noqa: S108 - the container's own
        )
    except APIError as error:
        raise ContainerError(f"No container could be made of {image}: {error.explanation}") from error


def _is_timeout(error: requests.exceptions.RequestException) -> bool:
    """Whether time ran out; once an answer has begun, requests calls that a lost connection."""
    return isinstance(error, requests.exceptions.ReadTimeout) or isinstance(
        next(iter(error.args), None), urllib3.exceptions.ReadTimeoutError
    )


def _read(container: Container, source: str) -> str:
    logs: Any = container.logs  # what it returns depends on arguments in a way that its types do not tell
    text: bytes = logs(stdout=source == "stdout", stderr=source == "stderr")
    return text.decode("utf-8", "replace")


def _explain(code: int, complaint: str) -> ServekitError:
    for kind in (SetupError, PredictorError, SignatureError):
        if code == kind.exit_code:
            error = kind(complaint.strip())
            return add_package_hint(error) if isinstance(error, SetupError) else error
    last = "\n".join(complaint.splitlines()[-_LAST_LINES:])
    return ImageBuildError(f"The image could not say what is in it (exit code {code}). It said:\n\n{last}\n\n{_REMEDY}")
