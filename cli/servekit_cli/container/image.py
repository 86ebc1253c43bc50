"""An image that servekit has built, as its labels describe it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from servekit.errors import ImageError
from servekit.runtime.model import Model
from servekit.spec import Dialect, ServeSpec
from servekit_cli.image.labels import SCHEMA, read_labels

__all__ = ["ModelImage", "read_image"]

_TRAITS: Final = ("is_async", "streams", "concatenates", "uses_files", "has_secrets", "has_healthcheck")


@dataclass(frozen=True)
class ModelImage:
    """What is to be known of an image before a container of it runs.

    Attributes:
        name: As the user wrote it.
        id: Names this very image, whatever its name stands for later.
        model: What the predictor takes and gives.
        serve: The `serve` section of the spec it was built from.
        wants_gpu: Whether it asks for a GPU.
        dialect: Whose rules its project follows.
    """

    name: str
    id: str
    model: Model
    serve: ServeSpec
    wants_gpu: bool
    dialect: Dialect = "servekit"


def read_image(name: str, image_id: str, labels: Mapping[str, str]) -> ModelImage:
    """Read the labels of an image.

    Raises:
        ImageError: They are not those of an image that servekit has built.
    """
    facts = read_labels(name, labels)
    return ModelImage(
        name=name,
        id=image_id,
        model=_read_model(name, facts.schema),
        serve=_read_serve(facts.spec),
        wants_gpu=facts.wants_gpu,
        dialect="cog" if facts.spec.get("dialect") == "cog" else "servekit",
    )


def _read_model(name: str, schema: Mapping[str, Any]) -> Model:
    try:
        return Model(
            input_schema=dict(schema["input"]),
            output_schema=dict(schema["output"]),
            **{trait: bool(schema.get(trait, False)) for trait in _TRAITS},
        )
    except (ValueError, TypeError, KeyError) as error:
        message = f"The label {SCHEMA} of {name} has no schema of input and output.\nBuild the image anew."
        raise ImageError(message) from error


def _read_serve(spec: Mapping[str, Any]) -> ServeSpec:
    """Read what the image says of serving; the defaults, should another version of servekit have other fields."""
    try:
        return ServeSpec.model_validate(spec.get("serve", {}))
    except ValidationError:
        return ServeSpec()
