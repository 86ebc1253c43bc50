"""Base images: the steps that are the same for many projects, done once."""

from dataclasses import dataclass
from importlib.metadata import version
from typing import Final

from docker.errors import APIError

from servekit.errors import ImageError
from servekit.spec import Spec
from servekit_cli.building.network import read_proxies, usable_secrets
from servekit_cli.engine import BuildRequest, BuildSecret, BuildView, Engine, build_image
from servekit_cli.environment.cache import cache_directory
from servekit_cli.environment.requirements import read_server_requirements
from servekit_cli.image.context import ContextEntry, lock_context, sync_context
from servekit_cli.image.facts import DEFAULT_PYTHON, BuildFacts
from servekit_cli.image.plan import plan_base
from servekit_cli.image.python import digest_requirements
from servekit_cli.image.render import render_dockerfile
from servekit_cli.image.secrets import find_ca_file
from servekit_cli.image.wheel import find_own_source

__all__ = ["BaseImage", "build_base", "find_base", "list_bases"]

BASE_REPOSITORY: Final = "servekit-base"
_VERSION: Final = "dev.servekit.base.version"
_PYTHON: Final = "dev.servekit.base.python"
_REQUIREMENTS: Final = "dev.servekit.base.requirements"


@dataclass(frozen=True)
class BaseImage:
    """A base image on the engine.

    Attributes:
        name: Its first name, or its id if it has none.
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
            images = engine.client.images.list(filters={"label": _VERSION})
        except APIError as error:
            raise ImageError(f"The engine does not list its images: {error.explanation}") from error
    own, requirements = find_own_source().version, digest_requirements(read_server_requirements())
    found = [
        BaseImage(
            name=(image.tags or [str(image.id)])[0],
            version=image.labels[_VERSION],
            python=image.labels.get(_PYTHON, ""),
            size_bytes=int(image.attrs.get("Size", 0)),
            fits=image.labels[_VERSION] == own and image.labels.get(_REQUIREMENTS) == requirements,
        )
        for image in images
    ]
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
    ca_file = None if engine.features.secrets else find_ca_file()
    secrets = usable_secrets(engine, secrets)
    facts = BuildFacts(
        servekit_version=find_own_source().version,
        runtime_requirements=read_server_requirements(),
        uv_version=version("uv"),
        has_mounts=engine.features.mounts,
        has_links=engine.features.link,
        secrets=tuple(secret.id for secret in secrets),
        has_ca_file=ca_file is not None,
    )
    name = f"{BASE_REPOSITORY}:{facts.servekit_version.replace('+', '-')}-python{python}"
    entries = [ContextEntry("Dockerfile", text=render_dockerfile(plan_base(facts)))]
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
