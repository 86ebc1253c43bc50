"""What is to be installed, and the text that decides about it.

Nothing here writes or starts anything: files are read, so that the same text gives the same environment.
"""

import importlib.metadata
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from servekit.errors import EnvironmentBuildError
from servekit.spec import Spec

__all__ = [
    "Dependencies",
    "describe_provided",
    "read_dependencies",
    "read_server_requirements",
    "read_with_includes",
    "read_worker_requirements",
]

_INCLUDE: Final = re.compile(r"^\s*(?:-r|-c|--requirement|--constraint)[ =]*(\S+)")
_LOCAL: Final = re.compile(
    r"""^\s*(?:-e|--editable|\.{1,2}/)|@\s*(?:file:|\.)|\b(?:path|directory|editable)\s*=\s*"(?!\."\s)""", re.MULTILINE
)
_NAME: Final = re.compile(r"\s*([A-Za-z0-9][\w.-]*)")
_EXTRA: Final = re.compile(r"""\bextra\s*==\s*['"]([^'"]+)['"]""")


@dataclass(frozen=True)
class Dependencies:
    """The Python dependencies of a spec.

    Attributes:
        packages: Requirements as they stand in the spec.
        files: Files to install from: a requirements file, or a pyproject.toml.
        locked_project: The folder whose uv.lock is to be exported and installed, if it has one.
        contents: Every text that decides what gets installed, for the key of the environment.
    """

    packages: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    locked_project: Path | None = None
    contents: tuple[str, ...] = ()

    @property
    def depend_on_place(self) -> bool:
        """Whether a relative path is among them, so that they mean other things in another folder."""
        return any(_LOCAL.search(text) for text in self.contents)


def read_dependencies(spec: Spec) -> Dependencies:
    """Read what a spec depends on.

    Raises:
        EnvironmentBuildError: A file that the spec names, or that such a file includes, is not there.
    """
    build = spec.build
    if build.python_project:
        return _read_project(spec.root / build.python_project)
    if build.python_requirements:
        file = spec.root / build.python_requirements
        texts = tuple(text for _, text in read_with_includes(file, "build.python_requirements"))
        return Dependencies(files=(file,), contents=texts)
    return Dependencies(packages=build.python_packages, contents=build.python_packages)


def describe_provided(spec: Spec) -> str | None:
    """Say which of a spec's requirements are left out because servekit stands in for them; None if none is.

    Raises:
        EnvironmentBuildError: As `read_dependencies` says.
    """
    if not spec.provided_packages:
        return None
    lines = [line for text in read_dependencies(spec).contents for line in text.splitlines()]
    found = [
        line.partition("#")[0].strip()
        for line in lines
        if (match := _NAME.match(line)) and match[1].lower() in spec.provided_packages
    ]
    return f"Not installed, because servekit stands in for it: {', '.join(found)}." if found else None


def read_with_includes(file: Path, named_by: str, seen: set[Path] | None = None) -> Iterator[tuple[Path, str]]:
    """Read a requirements file and those that it includes, each once.

    Raises:
        EnvironmentBuildError: One of them is not there, or cannot be read.
    """
    seen = set() if seen is None else seen
    if file in seen:
        return
    seen.add(file)
    text = _read(file, named_by)
    yield file, text
    for line in text.splitlines():
        if (match := _INCLUDE.match(line)) and "://" not in match[1]:
            yield from read_with_includes(file.parent / match[1], str(file), seen)


def read_worker_requirements() -> tuple[str, ...]:
    """List what a worker needs beside the model's own dependencies: servekit's extra `worker`."""
    return tuple(_read_extra("worker"))


def read_server_requirements() -> tuple[str, ...]:
    """List what an image needs beside the model's own dependencies: servekit's extra `server`."""
    return tuple(_read_extra("server"))


def _read_extra(extra: str) -> Iterator[str]:
    # The build backend has put what one extra takes from another in its place.
    for requirement in importlib.metadata.requires("servekit") or ():
        name, _, marker = requirement.partition(";")
        if (named := _EXTRA.search(marker)) is None or named[1] != extra:
            continue
        rest = re.sub(r"\s+and\s*$|^\s*and\s+", "", _EXTRA.sub("", marker)).strip()
        yield f"{name.strip()}; {rest}" if rest else name.strip()


def _read_project(folder: Path) -> Dependencies:
    project, lock = folder / "pyproject.toml", folder / "uv.lock"
    text = _read(project, "build.python_project")
    if lock.is_file():
        return Dependencies(locked_project=folder, contents=(text, _read(lock, "build.python_project")))
    return Dependencies(files=(project,), contents=(text,))


def _read(file: Path, named_by: str) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise EnvironmentBuildError(
            f"There is no file {file}, which {named_by} names.\nMake it, or correct the name."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise EnvironmentBuildError(f"{file}, which {named_by} names, cannot be read: {error}.") from error
