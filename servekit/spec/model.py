"""The spec as a whole: what `servekit.yaml` holds, and where it was found."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from servekit.errors import UsageError
from servekit.spec.build import BuildSpec
from servekit.spec.ranges import Range
from servekit.spec.section import Section
from servekit.spec.serve import ServeSpec
from servekit.spec.settings import SettingValues
from servekit.spec.weights import WeightsEntry, WeightsSpec, check_targets

__all__ = ["Dialect", "Mode", "Spec", "SpecFile"]

Dialect = Literal["servekit", "cog"]
"""Whose rules a project follows."""

Mode = Literal["predict", "train"]
"""What a project is run for."""

_REFERENCE: Final = re.compile(r"(?:[^:]+\.py|[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):[A-Za-z_]\w*")


class SpecFile(Section):
    """What `servekit.yaml` may hold."""

    predictor: str = Field(
        description="The class or function to run: predict.py:Predictor, or package.module:Predictor."
    )
    image: str | None = Field(default=None, min_length=1, description="The name of the image that is built.")
    build: BuildSpec = Field(default_factory=BuildSpec, description="The environment that the predictor needs.")
    weights: tuple[WeightsEntry, ...] = Field(
        default=(),
        description="Large files that the predictor loads: paths in the project, or where each is fetched from. "
        "They go into layers of their own.",
    )
    serve: ServeSpec = Field(default_factory=ServeSpec, description="How the predictor is served.")
    settings: SettingValues = Field(
        default_factory=dict[str, Any],
        description="Values for the settings that the predictor declares with a class of servekit.Settings, by name.",
    )

    @field_validator("predictor")
    @classmethod
    def _check_reference(cls, reference: str) -> str:
        if not _REFERENCE.fullmatch(reference):
            raise PydanticCustomError(
                "servekit_reference",
                "{expected}",
                {
                    "expected": "a predictor is named by its file or module, a colon, and its class or function",
                    "remedy": 'Write it as "predict.py:Predictor" or "package.module:Predictor".',
                },
            )
        return reference

    @field_validator("weights")
    @classmethod
    def _keep_weights_apart(cls, weights: tuple[WeightsSpec, ...]) -> tuple[WeightsSpec, ...]:
        return check_targets(weights)


class Spec(SpecFile):
    """A spec that was loaded: its values, and the file they came from."""

    path: Path = Field(description="The spec file, as an absolute path.")
    dialect: Dialect = Field(
        default="servekit", description="Whose rules the project follows: those of the kind of file it was read from."
    )
    trainer: str | None = Field(
        default=None, description="The class or function that trains, where the project has one."
    )
    mode: Mode = Field(
        default="predict",
        description="What the project is run for. To train, the predictor is the trainer.",
    )
    warnings: tuple[str, ...] = Field(
        default=(), description="What the user should know of the file, each with its name and line."
    )

    @property
    def root(self) -> Path:
        """The folder of the spec, from which its relative paths go out."""
        return self.path.parent

    def for_mode(self, mode: Mode) -> "Spec":
        """Give the spec of what the project is run for.

        Trainings run one at a time in a worker, however many predictions may run at once.

        Raises:
            UsageError: The project has nothing that could be run for it.
        """
        if mode == "predict":
            if self.mode == "train":
                raise UsageError(_NOTHING_PREDICTS.format(name=self.path.name))
            return self
        if self.trainer is None:
            raise UsageError(_NOTHING_TRAINS[self.dialect].format(name=self.path.name))
        serve = self.serve.model_copy(update={"concurrency": Range(1, 1), "target_latency": None})
        return self.model_copy(update={"predictor": self.trainer, "mode": "train", "serve": serve})

    @property
    def provided_packages(self) -> tuple[str, ...]:
        """The Python packages that are not installed, because servekit stands in for them."""
        return _PROVIDED[self.dialect]

    @property
    def expected_packages(self) -> tuple[str, ...]:
        """The Python packages that code imports without a word in the spec, because they always came along."""
        return _EXPECTED[self.dialect]


_NOTHING_PREDICTS: Final = (
    '{name} has only train, which is run by `servekit train`.\nFor predictions add a line such as "run: run.py:Runner".'
)
_NOTHING_TRAINS: Final[Mapping[Dialect, str]] = {
    "servekit": "{name} names nothing that trains: only the train of a cog.yaml does.\n"
    "Write the training as a predictor of its own, with a spec of its own, or give the project a cog.yaml.",
    "cog": '{name} names nothing that trains.\nAdd a line such as "train: train.py:train".',
}
_PROVIDED: Final[Mapping[Dialect, tuple[str, ...]]] = {"servekit": (), "cog": ("cog", "coglet")}
_EXPECTED: Final[Mapping[Dialect, tuple[str, ...]]] = {
    "servekit": (),
    "cog": ("pyyaml", "requests", "structlog", "typing-extensions"),  # what the package cog depends on
}
