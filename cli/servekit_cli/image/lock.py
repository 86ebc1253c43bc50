"""`servekit.lock`: every Python package of an image with its version and hashes, beside the spec.

It is written by uv for all machines at once, so that amd64 and arm64 images come from one lock, and a
rebuild next year installs the same files.
"""

import hashlib
import json
import os
import re
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from servekit.errors import EnvironmentBuildError
from servekit.spec import Spec
from servekit_cli.environment.requirements import Dependencies, read_dependencies, read_server_requirements
from servekit_cli.environment.uv import UvError, exclude, run_uv
from servekit_cli.image.facts import DEFAULT_PYTHON
from servekit_cli.image.lockfile import Pin, parse_pins, read_inputs, read_runtime, render_lock

__all__ = ["LOCK_NAME", "Lock", "check_lock", "make_lock", "read_lock"]

LOCK_NAME: Final = "servekit.lock"

_FORMAT: Final = 1
"""Raised when a lock would come to hold something else for the same inputs."""
_INDEX_OPTION: Final = re.compile(
    r"^\s*(-i|-f|--index-url|--extra-index-url|--find-links|--no-index)(?:[ =]+(\S+))?\s*(?:#.*)?$", re.MULTILINE
)
_LONG: Final = {"-i": "--index-url", "-f": "--find-links"}
_LOCAL_FILE: Final = re.compile(r"^\s*(?:[\w.-]+\s*@\s*)?(?:file:)?([^\s;#]+\.(?:whl|zip|tar\.gz))\b", re.MULTILINE)


@dataclass(frozen=True)
class Lock:
    """A lock that is there.

    Attributes:
        path: The file.
        text: All of it: a requirements file, whose relative paths go out from the folder of the spec.
        is_current: Whether it was made from what the spec, its requirements and this servekit say today.
    """

    path: Path
    text: str
    is_current: bool

    @property
    def runtime_text(self) -> str:
        """The part of it that servekit itself needs, as a requirements file."""
        return read_runtime(self.text)

    @cached_property
    def pins(self) -> list[Pin]:
        """Its packages."""
        return parse_pins(self.text)

    @property
    def has_all_hashes(self) -> bool:
        """Whether a hash can be required of each package; folders and repositories have none."""
        return all(pin.has_hash for pin in self.pins)


def read_lock(spec: Spec) -> Lock | None:
    """Read the lock of a spec, or return None if there is none.

    Raises:
        EnvironmentBuildError: It cannot be read, or a file that the spec names is not there.
    """
    path = spec.root / LOCK_NAME
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise EnvironmentBuildError(f"{path} cannot be read: {error}.\nMake it anew with `servekit lock`.") from error
    return Lock(path, text, is_current=read_inputs(text) == _digest_inputs(spec, read_dependencies(spec)))


def check_lock(spec: Spec) -> None:
    """Make sure that there is a lock, and that it is current.

    Raises:
        EnvironmentBuildError: There is none, or it was made from something else.
    """
    lock = read_lock(spec)
    if lock is None:
        raise EnvironmentBuildError(f"There is no {LOCK_NAME} in {spec.root}.\nMake it with `servekit lock`.")
    if not lock.is_current:
        raise EnvironmentBuildError(
            f"{lock.path} was made from other dependencies, another Python version or another servekit.\n"
            "Bring it up to date with `servekit lock`; versions that still fit stay as they are."
        )


def make_lock(spec: Spec, *, upgrade: bool = False) -> Lock:
    """Resolve the dependencies of a spec and of the runtime together, and write the lock.

    Args:
        spec: Whose dependencies.
        upgrade: Whether to take the newest versions; without it those of the lock stay where they still fit.

    Raises:
        EnvironmentBuildError: They contradict each other or cannot be found (the message holds uv's words), or the
            lock cannot be written.
    """
    dependencies = read_dependencies(spec)
    old = None if upgrade else read_lock(spec)
    with tempfile.TemporaryDirectory(prefix="servekit-") as folder:
        try:
            pins, runtime = _resolve(spec, dependencies, old.pins if old else [], Path(folder))
        except UvError as error:
            raise EnvironmentBuildError(
                f"What {spec.path} and servekit depend on could not be resolved. uv said:\n\n{error.output}\n\n"
                "Correct the dependencies under build, or the network or index that they come from."
            ) from None
    text = render_lock(_digest_inputs(spec, dependencies), _list_options(dependencies), pins, runtime)
    return Lock(_write(spec.root / LOCK_NAME, text), text, is_current=True)


def _resolve(
    spec: Spec, dependencies: Dependencies, preferred: Sequence[Pin], folder: Path
) -> tuple[list[Pin], set[str]]:
    """Return all packages, and the names of those that servekit itself needs."""
    project = spec.root / (spec.build.python_project or "")

    def move(path: str) -> str:
        """Name a path as seen from the spec; uv names it as seen from the project, sometimes without `./`."""
        relative = os.path.relpath(project / path, spec.root)
        return relative if relative.startswith("..") else f"./{relative}"

    named = [*read_server_requirements(), *spec.expected_packages, *dependencies.packages]
    if dependencies.locked_project is not None:
        exported = run_uv(*_EXPORT, "--project", dependencies.locked_project, cwd=spec.root)
        named += [pin.moved(move).text for pin in parse_pins(exported)]
    listed = folder / LOCK_NAME
    listed.write_text("".join(pin.text for pin in preferred), encoding="utf-8")  # what is there is preferred
    files = [os.path.relpath(file, spec.root) for file in dependencies.files]
    options = (*_COMPILE, *_describe_target(spec), *exclude(spec.provided_packages, folder / "excluded.txt"))
    run_uv(*options, "--generate-hashes", "--output-file", listed, "-", *files, cwd=spec.root, stdin=_lines(named))
    pins = parse_pins(listed.read_text(encoding="utf-8"))
    if spec.build.python_project:
        pins = [pin.moved(move) for pin in pins]
    constraints = folder / "constraints.txt"
    pinned = [f"{pin.name}=={pin.version} ; {pin.marker or _ALWAYS}" for pin in pins if pin.version]
    constraints.write_text(_lines(pinned), encoding="utf-8")
    ours = run_uv(*options, "--constraint", constraints, "-", cwd=spec.root, stdin=_lines(read_server_requirements()))
    return pins, {pin.name for pin in parse_pins(ours) if pin.name is not None}


_EXPORT: Final = ("export", "--quiet", "--frozen", "--no-dev", "--no-emit-project", "--no-header", "--no-annotate")
_COMPILE: Final = ("pip", "compile", "--quiet", "--universal", "--no-header", "--python", sys.executable)
_ALWAYS: Final = "python_version > '0'"


def _describe_target(spec: Spec) -> list[str]:
    options = ["--python-version", _python_version(spec)]
    return [*options, "--default-index", spec.build.index] if spec.build.index else options


def _python_version(spec: Spec) -> str:
    return spec.build.python_version or DEFAULT_PYTHON


def _lines(lines: Sequence[str]) -> str:
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)


def _list_options(dependencies: Dependencies) -> list[str]:
    """List what the project says of indexes: the packages of a lock come from the same places."""
    options = [
        " ".join(filter(None, (_LONG.get(match[1], match[1]), match[2])))
        for text in dependencies.contents
        for match in _INDEX_OPTION.finditer(text)
    ]
    return list(dict.fromkeys([*options, *_list_project_indexes(dependencies)]))


def _list_project_indexes(dependencies: Dependencies) -> Iterator[str]:
    files = (
        dependencies.files if dependencies.locked_project is None else (dependencies.locked_project / _PROJECT_NAME,)
    )
    for file in files:
        if file.name != _PROJECT_NAME:
            continue
        tables: list[dict[str, Any]] = (
            tomllib.loads(file.read_text(encoding="utf-8")).get("tool", {}).get("uv", {}).get("index", [])
        )
        for table in tables:
            yield f"{'--index-url' if table.get('default') else '--extra-index-url'} {table['url']}"


_PROJECT_NAME: Final = "pyproject.toml"


def _digest_inputs(spec: Spec, dependencies: Dependencies) -> str:
    inputs = {
        "format": _FORMAT,
        "python": _python_version(spec),
        "index": spec.build.index,
        "runtime": read_server_requirements(),
        "contents": dependencies.contents,
        "files": [_digest_file(spec.root / name) for name in _list_local_files(dependencies)],
        # Only where there are any, so that locks of before stay current.
        **({"excluded": spec.provided_packages} if spec.provided_packages else {}),
        **({"expected": spec.expected_packages} if spec.expected_packages else {}),
    }
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


def _list_local_files(dependencies: Dependencies) -> Iterator[str]:
    for text in dependencies.contents:
        for match in _LOCAL_FILE.finditer(text):
            if "://" not in match[1]:
                yield match[1]


def _digest_file(file: Path) -> str | None:
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:  # uv says what is missing, better than a digest could
        return None


def _write(path: Path, text: str) -> Path:
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise EnvironmentBuildError(
            f"{path} cannot be written: {error.strerror}.\nThe lock belongs into the folder of the spec."
        ) from error
    return path
