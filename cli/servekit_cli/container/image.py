"""An image that servekit has built, as its labels describe it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from servekit.errors import ImageError
from servekit.runtime.model import Model
from servekit.spec import ServeSpec

__all__ = ["ModelImage", "read_image"]

_SCHEMA: Final = "dev.servekit.schema"
_SPEC: Final = "dev.servekit.spec"
_GPU: Final = "dev.servekit.gpu"


@dataclass(frozen=True)
class ModelImage:
    """What is to be known of an image before a container of it runs.

    Attributes:
        name: As the user wrote it.
        id: Names this very image, whatever its name stands for later.
        model: What the predictor takes and gives.
        serve: The `serve` section of the spec it was built from.
        wants_gpu: Whether it asks for a GPU.
    """

    name: str
    id: str
    model: Model
    serve: ServeSpec
    wants_gpu: bool


def read_image(name: str, image_id: str, labels: Mapping[str, str]) -> ModelImage:
    """Read the labels of an image.

    Raises:
        ImageError: They are not those of an image that servekit has built.
    """
    if _SCHEMA not in labels:
        raise ImageError(
            f"{name} was not built by servekit: it has no label {_SCHEMA}.\n"
            f"Build one with `servekit build -t {name}`; other images are run with `docker run {name}`."
        )
    return ModelImage(
        name=name,
        id=image_id,
        model=_read_model(name, labels[_SCHEMA]),
        serve=_read_serve(labels.get(_SPEC, "{}")),
        wants_gpu=labels.get(_GPU) == "true",
    )


def _read_model(name: str, label: str) -> Model:
    try:
        values: dict[str, Any] = json.loads(label)
        return Model(
            input_schema=dict(values["input"]),
            output_schema=dict(values["output"]),
            **{trait: bool(values.get(trait, False)) for trait in _TRAITS},
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        message = f"The label {_SCHEMA} of {name} cannot be read: {error!r}\nBuild the image anew."
        raise ImageError(message) from error


_TRAITS: Final = ("is_async", "streams", "concatenates", "uses_files", "has_secrets", "has_healthcheck")


def _read_serve(label: str) -> ServeSpec:
    """Read what the image says of serving; its defaults, should another version of servekit have other fields."""
    try:
        return ServeSpec.model_validate(json.loads(label).get("serve", {}))
    except (ValidationError, ValueError, AttributeError):
        return ServeSpec()
