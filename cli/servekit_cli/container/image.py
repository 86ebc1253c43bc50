"""An image that servekit has built, as its labels describe it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from servekit.errors import ImageError, UsageError
from servekit.runtime.model import Model
from servekit.spec import Dialect, Mode, ServeSpec
from servekit_cli.image.labels import SCHEMA, LabelFacts, read_labels

__all__ = ["ModelImage", "read_image"]

_TRAITS: Final = ("is_async", "streams", "concatenates", "uses_files", "has_secrets", "has_healthcheck")


@dataclass(frozen=True)
class ModelImage:
    """What is to be known of an image before a container of it runs.

    Attributes:
        name: As the user wrote it.
        id: Names this very image, whatever its name stands for later.
        models: What the predictor, and what trains, takes and gives, as far as the image has them.
        serve: The `serve` section of the spec it was built from.
        wants_gpu: Whether it asks for a GPU.
        dialect: Whose rules its project follows.
    """

    name: str
    id: str
    models: Mapping[Mode, Model]
    serve: ServeSpec
    wants_gpu: bool
    dialect: Dialect = "servekit"

    def find_model(self, mode: Mode) -> Model:
        """Return what takes the inputs of predictions, or of trainings.

        Raises:
            UsageError: The image has no such thing.
        """
        model = self.models.get(mode)
        if model is None:
            raise UsageError(_MISSING[mode].format(name=self.name))
        return model


_MISSING: Final[Mapping[Mode, str]] = {
    "predict": "{name} has nothing that predicts: its project has only train.\nRun it with `servekit train {name}`.",
    "train": "{name} has nothing that trains: its project has no train.\n"
    "A cog.yaml may name one, as in `train: train.py:train`; build the image anew then.",
}


def read_image(name: str, image_id: str, labels: Mapping[str, str]) -> ModelImage:
    """Read the labels of an image.

    Raises:
        ImageError: They are not those of an image that servekit has built.
    """
    facts = read_labels(name, labels)
    return ModelImage(
        name=name,
        id=image_id,
        models=_read_models(name, facts),
        serve=_read_serve(facts.spec),
        wants_gpu=facts.wants_gpu,
        dialect="cog" if facts.spec.get("dialect") == "cog" else "servekit",
    )


def _read_models(name: str, facts: LabelFacts) -> dict[Mode, Model]:
    main: Mode = "train" if facts.spec.get("mode") == "train" else "predict"
    models: dict[Mode, Model] = {main: _read_model(name, facts.schema)}
    if (training := facts.schema.get("training")) is not None:
        models["train"] = _read_model(name, training)
    return models


def _read_model(name: str, schema: Mapping[str, Any]) -> Model:
    traits: dict[str, Any] = {trait: bool(schema.get(trait, False)) for trait in _TRAITS}
    try:
        return Model(
            input_schema=dict(schema["input"]),
            output_schema=dict(schema["output"]),
            **traits,
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
