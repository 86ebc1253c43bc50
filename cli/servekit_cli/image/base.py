"""Base images: the steps that are the same for many projects, done once.

`python -m servekit_cli.image.base > Dockerfile.base` writes the file at the root of the repository.
"""

import importlib.metadata
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from servekit_cli.environment.requirements import read_server_requirements
from servekit_cli.image.facts import BuildFacts
from servekit_cli.image.plan import BASE_LABEL, plan_base
from servekit_cli.image.python import digest_requirements
from servekit_cli.image.render import render_dockerfile

__all__ = ["BaseLabels", "list_base_labels", "read_base_labels", "render_base"]

_UV: Final = "uv>=0.9"


@dataclass(frozen=True)
class BaseLabels:
    """What a base image says of itself; a build takes one whose labels are all as it wants them.

    Attributes:
        version: The servekit that it was made by.
        python: The version of Python, as in a spec.
        requirements: The digest of what the runtime needs.
    """

    version: str
    python: str
    requirements: str


def list_base_labels(python: str) -> BaseLabels:
    """Say what a base image must have for this servekit and a version of Python."""
    return BaseLabels(importlib.metadata.version("servekit"), python, digest_requirements(read_server_requirements()))


def read_base_labels(labels: Mapping[str, str]) -> BaseLabels | None:
    """Read the labels of an image; None if it is no base image."""
    values = [labels.get(f"{BASE_LABEL}.{name}") for name in ("version", "python", "requirements")]
    known = [value for value in values if value is not None]
    return BaseLabels(*known) if len(known) == len(values) else None


def render_base(
    secrets: Sequence[str] = (), *, has_mounts: bool = True, has_links: bool = True, has_ca_file: bool = False
) -> str:
    """Write the Dockerfile of base images, which takes `--build-arg PYTHON_VERSION=3.12`.

    Args:
        secrets: The ids of the secrets that are passed to its build.
        has_mounts: Whether the engine builds with BuildKit.
        has_links: Whether it knows `COPY --link`.
        has_ca_file: Whether `.servekit/ca.pem` in the context holds the certificates to trust.
    """
    facts = BuildFacts(
        servekit_version=importlib.metadata.version("servekit"),
        runtime_requirements=read_server_requirements(),
        uv=_UV,
        secrets=tuple(secrets),
        has_mounts=has_mounts,
        has_links=has_links,
        has_ca_file=has_ca_file,
    )
    return render_dockerfile(plan_base(facts))


if __name__ == "__main__":
    sys.stdout.write(render_base())
