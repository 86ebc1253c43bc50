"""The spec as a whole: what `servekit.yaml` holds, and where it was found."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from servekit.spec.build import BuildSpec
from servekit.spec.section import Section
from servekit.spec.serve import ServeSpec
from servekit.spec.weights import WeightsEntry, WeightsSpec, check_targets

__all__ = ["Dialect", "Spec", "SpecFile"]

Dialect = Literal["servekit", "cog"]
"""Whose rules a project follows."""

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
    warnings: tuple[str, ...] = Field(
        default=(), description="What the user should know of the file, each with its name and line."
    )

    @property
    def root(self) -> Path:
        """The folder of the spec, from which its relative paths go out."""
        return self.path.parent

    @property
    def provided_packages(self) -> tuple[str, ...]:
        """The Python packages that are not installed, because servekit stands in for them."""
        return _PROVIDED[self.dialect]

    @property
    def expected_packages(self) -> tuple[str, ...]:
        """The Python packages that code imports without a word in the spec, because they always came along."""
        return _EXPECTED[self.dialect]


_PROVIDED: Final[Mapping[Dialect, tuple[str, ...]]] = {"servekit": (), "cog": ("cog", "coglet")}
_EXPECTED: Final[Mapping[Dialect, tuple[str, ...]]] = {
    "servekit": (),
    "cog": ("pyyaml", "requests", "structlog", "typing-extensions"),  # what the package cog depends on
}
