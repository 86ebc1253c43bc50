"""Kinds of values that cog.yaml holds, each with Cog's words for what does not fit."""

import re
from collections.abc import Callable
from typing import Annotated, Final, TypeVar

from pydantic import AfterValidator, BeforeValidator
from pydantic_core import PydanticCustomError

from servekit.spec.build import SUPPORTED_PYTHONS
from servekit.spec.values import fault, unfit

__all__ = [
    "EnvironmentLine",
    "ListOf",
    "Predictor",
    "PythonVersion",
    "Repository",
    "Runner",
    "SdkVersion",
    "Trainer",
    "split_line",
]

_Item = TypeVar("_Item")

_REFERENCE: Final = re.compile(r"[^:]+\.py:[A-Za-z_]\w*")
_VERSION: Final = re.compile(r"(\d+)\.(\d+)(?:\.\d+)?")
_OLDEST_PYTHON: Final = (3, 10)
_OLDEST_SDK: Final = (0, 16)
# As far as it decides anything; PEP 440 has the rest.
_RELEASE: Final = re.compile(
    r"v?(\d+)(?:\.(\d+))?(?:\.\d+)*(?:[-_.]?(?:a|b|c|rc|alpha|beta|pre|preview|post|dev)[-_.]?\d*)*(?:\+[\w.]+)?"
)
_RESERVED: Final = re.compile(
    r"PATH|LD_LIBRARY_PATH|PYTHONPATH|VIRTUAL_ENV|PYTHONUNBUFFERED|LIBRARY_PATH|HF_ENDPOINT|HF_HUB_ENABLE_HF_TRANSFER"
    r"|(?:R8|REPLICATE|CUDA|NVIDIA|NV|PGET|KUBERNETES)_.*"
)


def _read_nothing_as_empty(value: object) -> object:
    # Cog takes a list whose lines are all commented out.
    return () if value is None else value


ListOf = Annotated[tuple[_Item, ...], BeforeValidator(_read_nothing_as_empty)]
"""A list, which may also be left empty."""


def split_line(line: str) -> tuple[str, str]:
    """Split a line of `environment` into the variable's name and value."""
    name, _, value = line.partition("=")
    return name, value


def _refer(example: str) -> Callable[[str], str]:
    def check(reference: str) -> str:
        if not _REFERENCE.fullmatch(reference):
            raise unfit(
                f"it must be in the form '{example}'",
                "Name the file, a colon, and the class or function in it.",
            )
        return reference

    return check


def _invalid(field: str, value: str, problem: str, remedy: str) -> PydanticCustomError:
    return fault(f'invalid {field} "{value}": {problem}', remedy)


def _check_python_version(version: str) -> str:
    remedy = f'Set it to "{SUPPORTED_PYTHONS[-2]}", for example.'
    match = _VERSION.fullmatch(version.strip())
    if match is None:
        raise _invalid("build.python_version", version, "must include major and minor version", remedy)
    number = int(match[1]), int(match[2])
    if number < _OLDEST_PYTHON:
        raise _invalid("build.python_version", version, "minimum supported Python version is 3.10", remedy)
    if number != _OLDEST_PYTHON and f"{number[0]}.{number[1]}" not in SUPPORTED_PYTHONS:
        raise _invalid(
            "build.python_version", version, f"servekit runs on Python up to {SUPPORTED_PYTHONS[-1]}", remedy
        )
    return version.strip()


def _check_sdk_version(version: str) -> str:
    remedy = "Remove the line: servekit stands in for Cog's SDK, whatever its version."
    if version == "prerelease":
        return version
    match = _RELEASE.fullmatch(version)
    if match is None:
        raise _invalid("build.sdk_version", version, "must be a version or prerelease", remedy)
    if (int(match[1]), int(match[2] or 0)) < _OLDEST_SDK:
        raise _invalid("build.sdk_version", version, "minimum required version is 0.16.0", remedy)
    return version


def _check_environment_line(line: str) -> str:
    name, value = split_line(line)
    if "=" not in line or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise unfit("a variable is written NAME=value", "Use letters, digits and _ for its name, then =.")
    if _RESERVED.fullmatch(name):
        raise fault(
            f'environment variable "{name}" is not allowed: reserved for internal use',
            "Remove the line; set the variable when the container starts, if it has to be.",
        )
    # A Dockerfile has no way to write these into an ENV line.
    if any(character in value for character in "\r\n\0"):
        raise unfit("the value of a variable is one line", "Put the text into a file of the project and name that.")
    return line


def _check_repository(name: str) -> str:
    if "@" in name or ":" in name.rpartition("/")[2]:
        raise _invalid("model", name, "must be a repository without a tag or digest", "Remove what follows the name.")
    return name


Runner = Annotated[str, AfterValidator(_refer("run.py:Runner"))]
Predictor = Annotated[str, AfterValidator(_refer("predict.py:Predictor"))]
Trainer = Annotated[str, AfterValidator(_refer("train.py:Trainer"))]
PythonVersion = Annotated[str, AfterValidator(_check_python_version)]
SdkVersion = Annotated[str, AfterValidator(_check_sdk_version)]
EnvironmentLine = Annotated[str, AfterValidator(_check_environment_line)]
Repository = Annotated[str, AfterValidator(_check_repository)]
