"""The `build` section: the environment that a predictor needs."""

import re
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator

from servekit.spec.section import Section
from servekit.spec.values import (
    AbsolutePath,
    ImageName,
    InsidePath,
    SecretId,
    SystemPackage,
    Text,
    VariableName,
    VariableValue,
    check_no_password,
    check_not_blank,
    unfit,
)

__all__ = ["SUPPORTED_PYTHONS", "BuildSpec", "CommandEntry", "CommandSpec"]

SUPPORTED_PYTHONS: Final = ("3.11", "3.12", "3.13", "3.14")

_DEPENDENCY_FIELDS: Final = ("python_requirements", "python_packages", "python_project")
# What only a Dockerfile of ours would do.
_OURS_ALONE: Final = ("index", "system_packages", "build_packages", "run", "cuda", "base_image")


def _check_python_version(version: str) -> str:
    if version not in SUPPORTED_PYTHONS:
        raise unfit(
            f"supported are {SUPPORTED_PYTHONS[0]} to {SUPPORTED_PYTHONS[-1]}",
            'Set it to "3.12", or remove the line to get the default.',
        )
    return version


def _check_cuda(version: str) -> str:
    if not re.fullmatch(r"\d+\.\d+(\.\d+)?(-(cudnn[0-9]*-)?(runtime|devel)(-ubuntu[0-9.]+)?)?", version):
        raise unfit(
            "it is the version of an nvidia/cuda image, with -devel, -cudnn-runtime or -cudnn-devel behind it",
            'Write it as "12.6", "12.6.3", "12.6-cudnn-devel" or, before CUDA 12.4, "11.8-cudnn8-devel".',
        )
    return version


def _check_index(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.netloc or not url.isprintable() or " " in url:
        raise unfit("an index is a URL", 'Write it as "https://host/simple".')
    return check_no_password(url)


class CommandSpec(Section):
    """One command of `build.run`, with secrets of the build put where it looks for them.

    An entry that is only a text is a command; all secrets are at `/run/secrets/ID` for each command in any case.
    """

    command: Text = Field(description="What the shell runs.")
    secrets: dict[SecretId, AbsolutePath] = Field(
        default_factory=dict[str, str],
        description="Where the command finds secrets that are given with `servekit build --secret`: each one's id, "
        "and its path during the command.",
    )


def _read_command(value: Any) -> Any:
    """Take a text for a command."""
    if isinstance(value, str):
        return {"command": check_not_blank(value)}
    if not isinstance(value, dict | CommandSpec):
        raise unfit("it must be a command, or a section with command and secrets", "Put the command into quotes.")
    return value  # pyright: ignore[reportUnknownVariableType] - pydantic reads what is in it


CommandEntry = Annotated[CommandSpec, BeforeValidator(_read_command, json_schema_input_type=str | CommandSpec)]


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
    index: Annotated[str, AfterValidator(_check_index)] | None = Field(
        default=None,
        description="The package index that an image's Python dependencies come from, instead of PyPI. "
        "Its password is given to the build, not written here.",
    )
    system_packages: tuple[SystemPackage, ...] = Field(default=(), description="Debian packages to install.")
    build_packages: tuple[SystemPackage, ...] = Field(
        default=(),
        description="Debian packages that building the Python dependencies needs, such as compilers; "
        "they are not left in the image.",
    )
    run: tuple[CommandEntry, ...] = Field(
        default=(),
        description="Shell commands to run after the dependencies are installed; each line of one must succeed.",
    )
    gpu: bool = Field(default=False, description="Whether the predictor needs a GPU.")
    cuda: Annotated[str, AfterValidator(_check_cuda)] | None = Field(
        default=None,
        description='The version of the nvidia/cuda image to build on, such as "12.6" or "12.6-cudnn-devel"; '
        "only together with gpu, and not needed for wheels that bring their CUDA along, as torch's do.",
    )
    environment: dict[VariableName, VariableValue] = Field(
        default_factory=dict[str, str], description="Environment variables of the predictor."
    )
    base_image: ImageName | None = Field(
        default=None,
        description="The image to build on, instead of the default one; it brings its Python, 3.11 or newer.",
    )
    dockerfile: InsidePath | None = Field(
        default=None, description="A Dockerfile of your own to build with, instead of the one that is generated."
    )

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
            raise unfit(
                f"build.{others[0]} is set as well, and dependencies come from one place",
                f"Keep one of {', '.join(_DEPENDENCY_FIELDS)}.",
            )
        return value

    @field_validator("cuda")
    @classmethod
    def _want_a_gpu_for_cuda(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and info.data.get("gpu") is False:
            raise unfit("CUDA needs build.gpu to be true", 'Add "gpu: true", or remove this line.')
        return value

    @field_validator("base_image")
    @classmethod
    def _build_on_one_image(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and info.data.get("cuda"):
            raise unfit("build.cuda is set, and that is an image to build on as well", "Keep one of the two.")
        return value

    @field_validator("dockerfile")
    @classmethod
    def _leave_the_rest_to_the_own_dockerfile(cls, value: str | None, info: ValidationInfo) -> str | None:
        for name in _OURS_ALONE:
            if value is not None and info.data.get(name):
                raise unfit(
                    f"build.{name} is set, and nothing but that Dockerfile decides about it",
                    f"Do what build.{name} asks for in the Dockerfile, and remove it here.",
                )
        return value
