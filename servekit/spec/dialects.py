"""The kinds of spec files: what each is called, and how it becomes a spec."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from re import fullmatch
from typing import Any, Final

from servekit.spec.faults import Location
from servekit.spec.model import Dialect, SpecFile
from servekit.spec.section import Section
from servekit.spec.translation import Translation

__all__ = ["SPEC_NAMES", "Rules", "choose_rules", "find_spec_file"]

SPEC_NAMES: Final[Mapping[Dialect, str]] = {"servekit": "servekit.yaml", "cog": "cog.yaml"}
"""What the spec file of each kind of project is called, the one that counts first."""


@dataclass(frozen=True)
class Rules:
    """How the files of one dialect are read.

    Attributes:
        dialect: Its name.
        model: What a file may hold.
        text_fields: The fields, and the sections whose fields, are texts even if they look like numbers.
        translate: Says what a checked file means; given the folder that it stands in.
    """

    dialect: Dialect
    model: type[Section]
    text_fields: frozenset[Location]
    translate: Callable[[Any, Path], Translation]


def find_spec_file(path: Path) -> Path:
    """Find the spec of a folder, which may not be there; a path to anything else is the spec itself."""
    if not path.is_dir():
        return path
    candidates = [path / name for name in SPEC_NAMES.values()]
    return next((file for file in candidates if file.is_file()), candidates[0])


def choose_rules(file: Path) -> Rules:
    """Choose by the file's name: `cog.yaml`, and those such as `cog-cpu.yaml`, are Cog's."""
    if fullmatch(r"cog([-_.].*)?\.ya?ml", file.name):
        # Not at the top: few projects are Cog's, and what a worker imports counts in its start.
        from servekit.spec.cog.file import TEXT_FIELDS, CogFile  # noqa: PLC0415
        from servekit.spec.cog.translate import translate  # noqa: PLC0415

        return Rules("cog", CogFile, TEXT_FIELDS, translate)
    return _OWN


_OWN: Final = Rules(
    "servekit",
    SpecFile,
    frozenset({("image",), ("build", "python_version"), ("build", "cuda"), ("build", "environment")}),
    lambda file, _: Translation(dict(file)),
)
