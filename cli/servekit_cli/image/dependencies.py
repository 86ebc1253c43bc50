"""What the dependency step of a build sees: the files that say what to install, and nothing of the code.

They are laid out as in the project, below `project/`, so that their relative paths hold. What changes
none of them does not make the step run again.
"""

import os
import posixpath
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from servekit.errors import EnvironmentBuildError
from servekit.spec import Spec
from servekit_cli.environment.requirements import read_dependencies, read_with_includes
from servekit_cli.environment.uv import UvError, run_uv
from servekit_cli.image.files import ProjectFile
from servekit_cli.image.localpaths import list_required_paths, list_source_paths, make_plain
from servekit_cli.image.lock import LOCK_NAME, Lock

__all__ = ["EXCLUDED_NAME", "Installation", "plan_installation"]

EXCLUDED_NAME: Final = "excluded.txt"
"""The file that names the packages which are not installed, because servekit stands in for them."""

_PROJECT: Final = "project"
_PASSWORD: Final = re.compile(r"https?://[^/\s:@$]*:[^/\s@$]+@(?P<host>[^/\s:]+)")
_EXPORT: Final = ("export", "--quiet", "--frozen", "--no-dev", "--no-emit-project", "--no-header", "--no-annotate")


@dataclass(frozen=True)
class Installation:
    """How a project's dependencies get installed. Paths are those below `.servekit/install/`.

    Attributes:
        folder: Where that is done; None if there is nothing to install.
        arguments: What `uv pip install` is told beside `-r requirements.txt`.
        texts: Files to write.
        sources: Files of the project to put there: each with its path in the project.
        has_local_folders: Whether a dependency is a folder, which is built where it stands.
    """

    folder: str | None = None
    arguments: tuple[str, ...] = ()
    texts: Mapping[str, str] = field(default_factory=dict[str, str])
    sources: Mapping[str, str] = field(default_factory=dict[str, str])
    has_local_folders: bool = False


def plan_installation(
    spec: Spec, runtime: Iterable[str], files: Iterable[ProjectFile], lock: Lock | None = None
) -> Installation:
    """Find out what the dependency step needs.

    Args:
        spec: Whose dependencies.
        runtime: What servekit needs itself; both are resolved together.
        files: The files of the project that go into the image; a folder that is depended on is made of these.
        lock: The lock to install from; None to resolve anew.

    Raises:
        EnvironmentBuildError: A file that is named is not there, or not in the project.
    """
    reader = _Reader(spec, list(files))
    has_packages = bool(spec.build.names_dependencies or spec.expected_packages)
    if spec.build.names_dependencies:
        _refuse_passwords(read_dependencies(spec).contents)
    if spec.provided_packages:
        reader.add_texts({EXCLUDED_NAME: _join(spec.provided_packages)})
    if lock is not None:
        reader.add_texts({LOCK_NAME: make_plain(lock.text), "runtime.lock": lock.runtime_text})
        reader.add_paths("", list_required_paths(lock.text), LOCK_NAME)
        installation = reader.finish("")
        return installation if has_packages else replace(installation, folder=None)
    if not has_packages:
        return Installation()
    requirements = "# What servekit needs to serve; both are resolved together.\n" + _join(runtime)
    if spec.expected_packages:
        requirements += "# What the code may import without saying so.\n" + _join(spec.expected_packages)
    if spec.build.python_project:
        return reader.read_project(spec.build.python_project, requirements)
    if spec.build.python_requirements:
        return reader.read_requirements(spec.build.python_requirements, requirements)
    packages = _join(spec.build.python_packages)
    reader.add_texts({"requirements.txt": f"{requirements}# build.python_packages\n{make_plain(packages)}"})
    reader.add_paths("", list_required_paths(packages), "build.python_packages")
    return reader.finish("")


def _join(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


class _Reader:
    """Collects what one project's dependency step needs."""

    def __init__(self, spec: Spec, files: list[ProjectFile]) -> None:
        self._spec = spec
        self._files = files
        self._texts: dict[str, str] = {}
        self._sources: dict[str, str] = {}
        self._has_local_folders = False

    def add_texts(self, texts: Mapping[str, str]) -> None:
        self._texts.update(texts)

    def finish(self, folder: str, *arguments: str) -> Installation:
        return Installation(
            folder=posixpath.normpath(f"{_PROJECT}/{folder}"),
            arguments=arguments,
            texts=self._texts,
            sources={path: source for path, source in self._sources.items() if path not in self._texts},
            has_local_folders=self._has_local_folders,
        )

    def read_requirements(self, name: str, requirements: str) -> Installation:
        root = self._spec.root
        for file, text in read_with_includes(root / name, "build.python_requirements"):
            path = self._place(os.path.relpath(file, root), name)
            self._texts[f"{_PROJECT}/{path}"] = make_plain(text)
            self.add_paths("", list_required_paths(text), path)
        self._texts["requirements.txt"] = requirements
        return self.finish("", "-r", posixpath.normpath(name))

    def read_project(self, folder: str, requirements: str) -> Installation:
        dependencies = read_dependencies(self._spec)
        text = dependencies.contents[0]
        if dependencies.locked_project is not None:
            exported = _export(dependencies.locked_project, self._spec)
            self._texts["requirements.txt"] = f"{requirements}# uv.lock\n{make_plain(exported)}"
            self.add_paths(folder, list_required_paths(exported), "uv.lock")
            return self.finish(folder)
        self._texts["requirements.txt"] = requirements
        self._texts[posixpath.normpath(f"{_PROJECT}/{folder}/pyproject.toml")] = text
        self.add_paths(folder, list_source_paths(text), "pyproject.toml")
        project: dict[str, Any] = tomllib.loads(text).get("project", {})
        if "dependencies" in project.get("dynamic", ()):
            # Its build backend finds them, in whatever files it likes.
            self.add_paths(folder, ["."], "pyproject.toml")
        return self.finish(folder, "-r", "pyproject.toml")

    def add_paths(self, folder: str, paths: Iterable[str], named_by: str) -> None:
        """Add the files and folders that a file names, as seen from a folder of the project."""
        for written in paths:
            path = self._place(posixpath.join(folder, written), named_by)
            place = self._spec.root / path
            if place.is_file():
                self._sources[f"{_PROJECT}/{path}"] = path
            elif place.is_dir():
                self._add_folder(path, named_by)
            else:
                raise EnvironmentBuildError(
                    f"There is no {written} in {self._spec.root}, which {named_by} names.\n"
                    "Make it, or correct the path; it is relative to the folder of the spec."
                )

    def _add_folder(self, folder: str, named_by: str) -> None:
        self._has_local_folders = True
        prefix = "" if folder == "." else f"{folder}/"
        inside = [file.path for file in self._files if file.path.startswith(prefix) and file.kind != "folder"]
        if not inside:
            raise EnvironmentBuildError(
                f"{named_by} names the folder {folder}, of which nothing goes into the image.\n"
                "Take it out of .dockerignore, or take it out of the dependencies."
            )
        self._sources.update({f"{_PROJECT}/{path}": path for path in inside})

    def _place(self, path: str, named_by: str) -> str:
        inside = posixpath.normpath(path)
        if inside.startswith(("/", "..")):
            raise EnvironmentBuildError(
                f"{named_by} names {path}, and only what is in {self._spec.root} gets into the image.\n"
                "Put it into the project, and name it by its relative path."
            )
        return inside


def _refuse_passwords(texts: Iterable[str]) -> None:
    for text in texts:
        if match := _PASSWORD.search(text):
            raise EnvironmentBuildError(
                f"The dependencies name an address with a password in it, at {match['host']}, which would get into "
                "the image.\nTake it out, and give it to the build: servekit build --secret id=netrc,src=$HOME/.netrc"
            )


def _export(project: Path, spec: Spec) -> str:
    try:
        return run_uv(*_EXPORT, "--project", project, cwd=spec.root)
    except UvError as error:
        raise EnvironmentBuildError(
            f"The uv.lock of {project} cannot be used. uv said:\n\n{error.output}\n\nMake it anew with `uv lock`."
        ) from None
