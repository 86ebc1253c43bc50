"""The labels of an image: what is known of it without starting it.

Source:
    OCI image specification 1.1, "Pre-Defined Annotation Keys", for the names that begin with org.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from servekit.errors import ImageError
from servekit.spec import Spec
from servekit_cli.image.description import Description, Package
from servekit_cli.image.source import SourceFacts

__all__ = [
    "CREATED",
    "GPU",
    "PACKAGES",
    "PYTHON",
    "REVISION",
    "SCHEMA",
    "SERVEKIT",
    "SOURCE",
    "SPEC",
    "TITLE",
    "VERSION",
    "LabelFacts",
    "make_labels",
    "read_labels",
]

TITLE: Final = "org.opencontainers.image.title"
VERSION: Final = "org.opencontainers.image.version"
REVISION: Final = "org.opencontainers.image.revision"
SOURCE: Final = "org.opencontainers.image.source"
CREATED: Final = "org.opencontainers.image.created"
SERVEKIT: Final = "dev.servekit.version"
PYTHON: Final = "dev.servekit.python"
SPEC: Final = "dev.servekit.spec"
SCHEMA: Final = "dev.servekit.schema"
PACKAGES: Final = "dev.servekit.packages"
GPU: Final = "dev.servekit.gpu"


@dataclass(frozen=True)
class LabelFacts:
    """What the labels of an image say; what is not known is None.

    Attributes:
        title: What the image is.
        version: Of the project.
        revision: The commit it was built from, with `-dirty` behind it if something had been changed.
        source: The repository of that commit.
        created: When it was built.
        servekit: The version of servekit in it.
        python: The version of Python in it.
        spec: The spec it was built from.
        schema: What the predictor takes and gives: `input` and `output`, and its traits.
        packages: The Python packages in it, by name.
        wants_gpu: Whether the predictor needs a GPU.
    """

    title: str | None
    version: str | None
    revision: str | None
    source: str | None
    created: str | None
    servekit: str | None
    python: str | None
    spec: Mapping[str, Any]
    schema: Mapping[str, Any]
    packages: tuple[Package, ...]
    wants_gpu: bool


def make_labels(spec: Spec, description: Description, source: SourceFacts) -> dict[str, str]:
    """Make the labels of an image; what is not known gets none.

    Args:
        spec: What it was built from.
        description: What is in it.
        source: Where the code comes from.
    """
    packages = [{"name": package.name, "version": package.version} for package in description.packages]
    labels = {
        TITLE: spec.image or spec.root.name,
        VERSION: source.version,
        REVISION: source.revision,
        SOURCE: source.url,
        CREATED: source.created,
        SERVEKIT: description.servekit,
        PYTHON: description.python,
        SPEC: _write(spec.model_dump(mode="json", exclude={"path", "warnings"})),
        SCHEMA: _write(description.schema),
        PACKAGES: _write(packages),
        GPU: "true" if spec.build.gpu else "false",
    }
    return {name: text for name, text in labels.items() if text is not None}


def read_labels(name: str, labels: Mapping[str, str]) -> LabelFacts:
    """Read the labels of an image.

    Args:
        name: The image, for messages.
        labels: All of its labels.

    Raises:
        ImageError: They are not those of an image that servekit has built.
    """
    if SCHEMA not in labels:
        raise ImageError(
            f"{name} was not built by servekit: it has no label {SCHEMA}.\n"
            f"Build one with `servekit build -t {name}`; other images are run with `docker run {name}`."
        )
    try:
        return LabelFacts(
            title=labels.get(TITLE),
            version=labels.get(VERSION),
            revision=labels.get(REVISION),
            source=labels.get(SOURCE),
            created=labels.get(CREATED),
            servekit=labels.get(SERVEKIT),
            python=labels.get(PYTHON),
            spec=dict(json.loads(labels.get(SPEC, "{}"))),
            schema=dict(json.loads(labels[SCHEMA])),
            packages=tuple(Package(**package) for package in json.loads(labels.get(PACKAGES, "[]"))),
            wants_gpu=labels.get(GPU) == "true",
        )
    except (ValueError, TypeError) as error:
        message = f"The labels of {name} cannot be read: {error}\nBuild the image anew with `servekit build`."
        raise ImageError(message) from error


def _write(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
