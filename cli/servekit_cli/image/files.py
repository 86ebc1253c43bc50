"""Which files of a project go into its image."""

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Protocol, cast

from servekit.errors import ImageBuildError
from servekit_templates import read_text

__all__ = ["CONTEXT_MARKER", "ProjectFile", "ProjectFiles", "find_project_files"]

CONTEXT_MARKER: Final = ".servekit/context"
"""Stands in every context that servekit writes, so that one in the project is not taken for a part of it."""

_IGNORE_FILE: Final = ".dockerignore"
_CREDENTIALS: Final = "# credentials"
"""The last section of the default ignore file, whose omissions are worth a word."""


@dataclass(frozen=True)
class ProjectFile:
    """Something in the folder of a project.

    Attributes:
        path: Relative to the project, with slashes.
        kind: What it is.
        size: In bytes; 0 for what is no file.
        target: Where a link points; relative, since the project has another place in the image.
    """

    path: str
    kind: Literal["file", "folder", "link"]
    size: int = 0
    target: str = ""


@dataclass(frozen=True)
class ProjectFiles:
    """What goes in, in the order of the paths, and what there is to say about it.

    Attributes:
        files: What goes in.
        skipped: What could not be taken, each with its reason.
        withheld: What looks like a credential and was left out for that alone.
    """

    files: tuple[ProjectFile, ...]
    skipped: tuple[str, ...] = ()
    withheld: tuple[str, ...] = ()


def find_project_files(root: Path, left_out: Iterable[str] = ()) -> ProjectFiles:
    """Find what goes into the image.

    A `.dockerignore` counts as Docker reads it, after defaults that its `!` lines can take back.

    Args:
        root: The folder of the project.
        left_out: More paths that stay out, whatever a `.dockerignore` says.

    Raises:
        ImageBuildError: A link leads out of the project, or the folder cannot be read.
    """
    walk = _Walk(root, frozenset(path.removeprefix("./").rstrip("/") for path in left_out))
    files = sorted(walk.list_folder(""), key=lambda file: file.path)
    return ProjectFiles(tuple(files), tuple(sorted(walk.skipped)), tuple(sorted(walk.withheld)))


class _Pattern(Protocol):
    exclusion: bool
    cleaned_pattern: str

    def match(self, filepath: str) -> bool: ...


class _Matcher(Protocol):
    patterns: list[_Pattern]

    def matches(self, filepath: str) -> bool: ...


class _Walk:
    """One walk through a project."""

    def __init__(self, root: Path, left_out: frozenset[str]) -> None:
        self.skipped: list[str] = []
        self.withheld: list[str] = []
        self._root = root
        self._resolved_root = os.path.realpath(root)
        self._left_out = left_out
        defaults = _read_patterns(read_text("dockerignore"))
        own = _read_patterns(_read_own(root / _IGNORE_FILE))
        self._matcher = _make_matcher([*defaults, *own])
        self._credentials = _make_matcher(_read_patterns(read_text("dockerignore").partition(_CREDENTIALS)[2]))
        self._own = _make_matcher(own)
        self._taken_back = [pattern for pattern in self._matcher.patterns if pattern.exclusion]

    def list_folder(self, folder: str) -> Iterator[ProjectFile]:
        try:
            entries = sorted(os.scandir(self._root / folder), key=lambda entry: entry.name)
        except OSError as error:
            if not folder:
                raise ImageBuildError(f"{self._root} cannot be read: {error.strerror}.") from error
            self.skipped.append(f"{folder} (cannot be read: {error.strerror})")
            return
        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            if path not in self._left_out:
                yield from self._list_entry(entry, path)

    def _list_entry(self, entry: os.DirEntry[str], path: str) -> Iterator[ProjectFile]:
        is_ignored = self._matcher.matches(path)
        if is_ignored and self._credentials.matches(path) and not self._own.matches(path):
            self.withheld.append(path)
        if entry.is_dir(follow_symlinks=False):
            is_ignored = is_ignored or self._is_made_elsewhere(path)
            if not is_ignored:
                yield ProjectFile(path, "folder")
            if not is_ignored or self._may_be_taken_back(path):
                yield from self.list_folder(path)
        elif not is_ignored:
            yield from self._list_file(entry, path)

    def _list_file(self, entry: os.DirEntry[str], path: str) -> Iterator[ProjectFile]:
        try:
            status = entry.stat(follow_symlinks=False)
        except FileNotFoundError:  # removed since it was listed
            return
        if stat.S_ISLNK(status.st_mode):
            yield ProjectFile(path, "link", target=self._read_link(path))
        elif not stat.S_ISREG(status.st_mode):
            self.skipped.append(f"{path} (neither a file, a folder nor a link)")
        elif not os.access(entry.path, os.R_OK):
            self.skipped.append(f"{path} (no permission to read it)")
        else:
            yield ProjectFile(path, "file", size=status.st_size)

    def _read_link(self, path: str) -> str:
        """Read a link, as seen from its own folder.

        Raises:
            ImageBuildError: It leads out of the project, and so to nothing in the image.
        """
        place = self._root / path
        target = str(place.readlink())
        # Where it leads step by step, not in the end: a link to a link that leads out is the other link's fault.
        folder = os.path.realpath(place.parent)
        named = os.path.normpath(os.path.join(folder, target))  # noqa: PTH118 - pathlib keeps `..`
        if named != self._resolved_root and not named.startswith(self._resolved_root + os.sep):
            raise ImageBuildError(
                f"{path} is a link to {target}, which is outside of the project and so not in the image.\n"
                f"Put what it points to into {self._root}, name it under `weights` if it is large, or add {path} to "
                f"{_IGNORE_FILE} if the predictor does not need it."
            )
        return os.path.relpath(named, folder)

    def _is_made_elsewhere(self, path: str) -> bool:
        """Whether a folder is a virtual environment or a build context, wherever it is and whatever its name."""
        place = self._root / path
        is_other = (place / "pyvenv.cfg").is_file() or (place / CONTEXT_MARKER).is_file()
        return is_other and not any(pattern.match(path) for pattern in self._taken_back)

    def _may_be_taken_back(self, folder: str) -> bool:
        """Whether a `!` line names something in an ignored folder, literally, as Docker has it."""
        return any(f"{pattern.cleaned_pattern}/".startswith(f"{folder}/") for pattern in self._taken_back)


def _make_matcher(patterns: list[str]) -> _Matcher:
    from docker.utils.build import PatternMatcher  # noqa: PLC0415 - a quarter of a second, for those who need it

    matcher = cast("_Matcher", PatternMatcher(patterns))  # its stubs want paths that are no texts
    del matcher.patterns[-1]  # `!.dockerignore`, which Docker always sends to itself
    return matcher


def _read_patterns(text: str) -> list[str]:
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _read_own(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise ImageBuildError(f"{file} cannot be read: {error}.\nMake it a text file that you may read.") from error
