"""The `build` section: the environment that a predictor needs."""

import re
from pathlib import PurePosixPath
from typing import Annotated, Final

from pydantic import AfterValidator, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from servekit.spec.section import Section

__all__ = ["SUPPORTED_PYTHONS", "BuildSpec"]

SUPPORTED_PYTHONS: Final = ("3.11", "3.12", "3.13", "3.14")

_DEPENDENCY_FIELDS: Final = ("python_requirements", "python_packages", "python_project")


def _unfit(expected: str, remedy: str) -> PydanticCustomError:
    return PydanticCustomError("servekit_build", "{expected}", {"expected": expected, "remedy": remedy})


def _check_python_version(version: str) -> str:
    if version not in SUPPORTED_PYTHONS:
        raise _unfit(
            f"supported are {SUPPORTED_PYTHONS[0]} to {SUPPORTED_PYTHONS[-1]}",
            'Set it to "3.12", or remove the line to get the default.',
        )
    return version


def _check_inside_project(path: str) -> str:
    parts = PurePosixPath(path).parts
    if not path or path.startswith("/") or ".." in parts:
        raise _unfit(
            "a path here is relative to the folder of the spec and stays inside it",
            "Move what it names into that folder; only that folder gets into an image.",
        )
    return path


def _check_system_package(name: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9+.-]*(:[a-z0-9]+)?(=[A-Za-z0-9.+:~-]+)?", name):
        raise _unfit(
            "a system package is the name of one Debian package, with =version behind it if need be",
            'Write one package per item, such as "ffmpeg"; other commands belong under build.run.',
        )
    return name


def _check_not_blank(text: str) -> str:
    if not text.strip():
        raise _unfit("it may not be empty", "Fill it in, or remove the line.")
    return text


def _check_variable_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise _unfit("this cannot be the name of a variable", "Use letters, digits and _, with no digit in front.")
    return name


Text = Annotated[str, AfterValidator(_check_not_blank)]
InsidePath = Annotated[str, AfterValidator(_check_inside_project)]


class BuildSpec(Section):
    """The environment that the predictor needs.

    Python dependencies come from one of three places: `python_requirements`, `python_packages` or
    `python_project`.
    """

    python_version: Annotated[str, AfterValidator(_check_python_version)] | None = Field(
        default=None,
        description="The Python version, 3.11 to 3.14. By default 3.12 in an image, and the running one elsewhere.",
        json_schema_extra={"enum": [*SUPPORTED_PYTHONS, None]},
    )
    python_requirements: InsidePath | None = Field(
        default=None, description="A requirements file with the Python dependencies."
    )
    python_packages: tuple[Text, ...] = Field(
        default=(), description='The Python dependencies themselves, such as "torch==2.9.1".'
    )
    python_project: InsidePath | None = Field(
        default=None,
        description="The folder of a pyproject.toml whose dependencies are taken, from its uv.lock if it has one; "
        '"." for the folder of the spec.',
    )
    system_packages: tuple[Annotated[str, AfterValidator(_check_system_package)], ...] = Field(
        default=(), description="Debian packages to install."
    )
    run: tuple[Text, ...] = Field(default=(), description="Shell commands to run after the dependencies are installed.")
    gpu: bool = Field(default=False, description="Whether the predictor needs a GPU.")
    cuda: Text | None = Field(default=None, description='The CUDA version, such as "12.8"; only together with gpu.')
    environment: dict[Annotated[str, AfterValidator(_check_variable_name)], str] = Field(
        default_factory=dict[str, str], description="Environment variables of the predictor."
    )
    base_image: Text | None = Field(default=None, description="The image to build on, instead of the default one.")

    @property
    def names_dependencies(self) -> bool:
        """Whether the predictor needs Python packages of its own."""
        return bool(self.python_requirements or self.python_packages or self.python_project)

    @field_validator(*_DEPENDENCY_FIELDS)
    @classmethod
    def _take_dependencies_from_one_place(cls, value: object, info: ValidationInfo) -> object:
        # Runs per field in their order, so that the fault is reported at the line of the later one.
        others = [name for name in _DEPENDENCY_FIELDS if name != info.field_name and info.data.get(name)]
        if value and others:
            raise _unfit(
                f"build.{others[0]} is set as well, and dependencies come from one place",
                f"Keep one of {', '.join(_DEPENDENCY_FIELDS)}.",
            )
        return value

    @field_validator("cuda")
    @classmethod
    def _want_a_gpu_for_cuda(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and info.data.get("gpu") is False:
            raise _unfit("CUDA needs build.gpu to be true", 'Add "gpu: true", or remove this line.')
        return value
