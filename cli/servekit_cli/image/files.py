"""Which files of a project go into its image."""

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from servekit.errors import ImageBuildError
from servekit_cli.image.ignoring import IgnoreRules, Verdict, read_lines
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
    files = sorted(walk.list_all(), key=lambda file: file.path)
    return ProjectFiles(tuple(files), tuple(sorted(walk.skipped)), tuple(sorted(walk.withheld)))


class _Walk:
    """One walk through a project."""

    def __init__(self, root: Path, left_out: frozenset[str]) -> None:
        self.skipped: list[str] = []
        self.withheld: list[str] = []
        self._root = root
        self._resolved_root = os.path.realpath(root)
        self._left_out = left_out
        defaults, own = read_text("dockerignore"), _read_own(root / _IGNORE_FILE)
        self._rules = IgnoreRules([*read_lines(defaults), *read_lines(own)])
        self._own = IgnoreRules(read_lines(own))
        self._credentials = IgnoreRules(read_lines(defaults.partition(_CREDENTIALS)[2]))

    def list_all(self) -> Iterator[ProjectFile]:
        return self._list_folder("", self._rules.root)

    def _list_folder(self, folder: str, verdict: Verdict) -> Iterator[ProjectFile]:
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
                yield from self._list_entry(entry, path, self._rules.judge(path, verdict))

    def _list_entry(self, entry: os.DirEntry[str], path: str, verdict: Verdict) -> Iterator[ProjectFile]:
        is_ignored = self._rules.ignores(verdict)
        if is_ignored and self._is_credential(path):
            self.withheld.append(path)
        if entry.is_dir(follow_symlinks=False):
            is_ignored = is_ignored or (self._is_made_elsewhere(path) and not self._rules.takes_back(verdict))
            if not is_ignored:
                yield ProjectFile(path, "folder")
            if not is_ignored or self._rules.may_take_back_below(path):
                yield from self._list_folder(path, verdict)
        elif not is_ignored:
            yield from self._list_file(entry, path)

    def _is_credential(self, path: str) -> bool:
        """Whether only the look of a name keeps it out, and no line of the project's own."""
        credentials, own = self._credentials, self._own
        is_alike = credentials.ignores(credentials.judge(path, credentials.root))
        return is_alike and not own.ignores(own.judge(path, own.root))

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
        return (place / "pyvenv.cfg").is_file() or (place / CONTEXT_MARKER).is_file()


def _read_own(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise ImageBuildError(f"{file} cannot be read: {error}.\nMake it a text file that you may read.") from error
