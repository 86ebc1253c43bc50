"""Base images: the steps that are the same for many projects, done once."""

from dataclasses import dataclass
from typing import Any, Final

from docker.errors import APIError

from servekit.errors import ImageError
from servekit.spec import Spec
from servekit_cli.building.network import read_proxies, usable_secrets
from servekit_cli.engine import BuildRequest, BuildSecret, BuildView, Engine, build_image
from servekit_cli.environment.cache import cache_directory
from servekit_cli.image.base import list_base_labels, read_base_labels, render_base
from servekit_cli.image.context import ContextEntry, lock_context, sync_context
from servekit_cli.image.facts import DEFAULT_PYTHON
from servekit_cli.image.lock import LOCK_NAME
from servekit_cli.image.plan import BASE_LABEL
from servekit_cli.image.secrets import find_ca_file

__all__ = ["BaseImage", "build_base", "find_base", "list_bases"]

_REPOSITORY: Final = "servekit-base"


@dataclass(frozen=True)
class BaseImage:
    """A base image on the engine.

    Attributes:
        name: Its name.
        version: The servekit that it was made by.
        python: Its Python.
        size_bytes: Of all its layers.
        fits: Whether builds of this servekit take it.
    """

    name: str
    version: str
    python: str
    size_bytes: int
    fits: bool


def list_bases(engine: Engine) -> list[BaseImage]:
    """List the base images on an engine, those that fit first.

    Raises:
        EngineError: The engine went away.
        ImageError: It does not list its images.
    """
    with engine.faults():
        try:
            # One request: an image that goes while the list is read must not fail it.
            client: Any = engine.client  # whose types say nothing of what comes back
            images: list[dict[str, Any]] = client.api.images(filters={"label": f"{BASE_LABEL}.version"})
        except APIError as error:
            raise ImageError(f"The engine does not list its images: {error.explanation}") from error
    found: list[BaseImage] = []
    for image in images:
        labels = read_base_labels(image.get("Labels") or {})
        # What is built on a base has its labels too; a base itself has a name of our making.
        name = next((tag for tag in image.get("RepoTags") or () if tag.startswith(f"{_REPOSITORY}:")), None)
        if labels is None or name is None:
            continue
        fits = labels == list_base_labels(labels.python)
        found.append(BaseImage(name, labels.version, labels.python, int(image.get("Size", 0)), fits))
    return sorted(found, key=lambda base: (not base.fits, base.name))


def find_base(engine: Engine, spec: Spec, platform: str | None) -> str | None:
    """Name a base image that does the first steps of a spec's image; None if there is none, or none can.

    Raises:
        EngineError: The engine went away.
        ImageError: It does not list its images.
    """
    build = spec.build
    # Bases have the engine's own platform, plain Python, and packages of no particular lock.
    if platform is not None or build.base_image or build.cuda or build.gpu or build.dockerfile:
        return None
    if (spec.root / LOCK_NAME).exists():
        return None
    python = build.python_version or DEFAULT_PYTHON
    return next((base.name for base in list_bases(engine) if base.fits and base.python == python), None)


def build_base(
    engine: Engine,
    python: str,
    secrets: tuple[BuildSecret, ...],
    view: BuildView,
    *,
    no_cache: bool = False,
    pull: bool = False,
) -> str:
    """Build the base image for a Python version, and return its name.

    Args:
        engine: What builds it.
        python: The version, as `3.12`.
        secrets: What steps may read.
        view: Shows what the engine does.
        no_cache: Whether every step runs anew.
        pull: Whether the Python image is asked for at its registry even if it is here.

    Raises:
        UsageError: Secrets cannot be passed.
        ImageBuildError: A step failed.
        EngineError: The engine went away.
    """
    features = engine.features
    ca_file = None if features.secrets else find_ca_file()
    secrets = usable_secrets(engine, secrets)
    text = render_base(
        [secret.id for secret in secrets],
        has_mounts=features.mounts,
        has_links=features.link,
        has_ca_file=ca_file is not None,
    )
    name = f"{_REPOSITORY}:{list_base_labels(python).version.replace('+', '-')}-python{python}"
    entries = [ContextEntry("Dockerfile", text=text)]
    if ca_file is not None:
        entries.append(ContextEntry(".servekit/ca.pem", source=ca_file))
    folder = cache_directory() / "builds" / "base"
    with lock_context(folder):
        sync_context(folder, entries)
        request = BuildRequest(
            folder,
            tags=(name,),
            build_args={**read_proxies(), "PYTHON_VERSION": python},
            secrets=secrets,
            no_cache=no_cache,
            pull=pull,
        )
        build_image(engine, request, view)
    return name
