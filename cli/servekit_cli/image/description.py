"""What an image says of itself: the answer of `python -m servekit.server.describe` in it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from servekit.errors import ImageBuildError

__all__ = ["Description", "Package", "read_description"]


@dataclass(frozen=True)
class Package:
    """Something that is installed.

    Attributes:
        name: As its maker writes it.
        version: As its maker writes it.
        license: Its name or SPDX expression, if the package says one.
        arch: The architecture of a system package.
    """

    name: str
    version: str
    license: str | None = None
    arch: str | None = None


@dataclass(frozen=True)
class Description:
    """What is in an image.

    Attributes:
        schema: What the predictor takes and gives: `input` and `output`, and its traits.
        servekit: The version of servekit in it.
        python: The version of Python in it.
        packages: The Python packages, by name.
        system_packages: Those of a Debian system, by name.
        distribution: `id` and `version` of the system, as far as it tells.
    """

    schema: Mapping[str, Any]
    servekit: str
    python: str
    packages: tuple[Package, ...]
    system_packages: tuple[Package, ...] = ()
    distribution: Mapping[str, str] | None = None


def read_description(text: str) -> Description:
    """Read the answer.

    Raises:
        ImageBuildError: It is none; something else in the image wrote to its stdout, or its servekit is another one.
    """
    try:
        values: dict[str, Any] = json.loads(text)
        return Description(
            schema=values["schema"],
            servekit=values["servekit"],
            python=values["python"],
            packages=tuple(Package(**package) for package in values["packages"]),
            system_packages=tuple(Package(**package) for package in values["system_packages"]),
            distribution=values["distribution"],
        )
    except (ValueError, KeyError, TypeError) as error:
        raise ImageBuildError(
            f"The image does not describe itself: {error!r}. Its answer begins with {text[:100]!r}.\n"
            "See that servekit in the image is the version that builds it, and that nothing else writes to stdout."
        ) from error
