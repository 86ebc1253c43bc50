"""From the entries of a spec to files on this machine."""

import difflib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from servekit.errors import WeightsError
from servekit.spec import Spec, WeightsSpec
from servekit_cli.weights.cache import fetch_weights
from servekit_cli.weights.digests import digest_file

__all__ = ["WeightFile", "resolve_entry", "resolve_weights"]


@dataclass(frozen=True, order=True)
class WeightFile:
    """One file with weights.

    Attributes:
        target: Where the predictor finds it, relative to the folder of the spec, with slashes.
        sha256: Its digest.
        path: Where it is on this machine: in the project, or in the cache.
        size: In bytes.
    """

    target: str
    sha256: str
    path: Path
    size: int


def resolve_weights(spec: Spec) -> list[WeightFile]:
    """Have all weights of a spec on this machine, and check those whose digest the spec names.

    What was fetched before is not fetched again, and a large file is read once as long as it stays the same.

    Returns:
        The files, in the order of their targets; a folder is all files in it.

    Raises:
        WeightsError: A file is missing, cannot be fetched or read, or is not what its digest says.
    """
    return sorted(file for entry in spec.weights for file in resolve_entry(spec, entry))


def resolve_entry(spec: Spec, entry: WeightsSpec) -> Iterator[WeightFile]:
    """Do the same for one entry.

    Raises:
        WeightsError: As above.
    """
    target = entry.target.removeprefix("./").rstrip("/")
    if entry.is_remote:
        for fetched in fetch_weights(entry.source, entry.sha256):
            yield WeightFile(_join(target, fetched.relative), fetched.sha256, fetched.path, fetched.size)
        return
    for path, relative in _list_local(spec, entry):
        try:
            file = WeightFile(_join(target, relative), digest_file(path), path, path.stat().st_size)
        except OSError as error:
            raise WeightsError(f"{path} cannot be read: {error.strerror or error}.") from error
        if entry.sha256 is not None and file.sha256 != entry.sha256:
            raise WeightsError(
                f"{path} has the SHA-256 {file.sha256}, and {spec.path.name} says {entry.sha256}.\n"
                "Find out why it is another file; if it is the right one, put its SHA-256 into the spec."
            )
        yield file


def _join(target: str, relative: str) -> str:
    return f"{target}/{relative}" if relative else target


def _list_local(spec: Spec, entry: WeightsSpec) -> list[tuple[Path, str]]:
    """List files, each with its path below the source; a single file has an empty one."""
    source = spec.root / entry.source
    if source.is_file():
        return [(source, "")]
    if not source.is_dir():
        raise WeightsError(_describe_missing(spec, entry, source))
    if entry.sha256 is not None:
        raise WeightsError(
            f"{source} is a folder, and a sha256 is that of one file.\n"
            "Name the files one by one, or take the sha256 away."
        )
    files = sorted(_walk(source))
    if not files:
        raise WeightsError(f"There is no file in {source}, which weights names.\nPut the weights there.")
    return [(file, file.relative_to(source).as_posix()) for file in files]


def _walk(folder: Path) -> Iterator[Path]:
    """Go through a folder, links to folders included; one that leads back to where we are is left out."""
    seen: set[str] = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        yield from (file for name in names if (file := Path(place, name)).is_file())


def _describe_missing(spec: Spec, entry: WeightsSpec, source: Path) -> str:
    place = source.parent
    while not place.is_dir():
        place = place.parent
    names = sorted(each.name for each in place.iterdir())
    near = difflib.get_close_matches(source.name, names, n=1) if place == source.parent else []
    hint = f"did you mean {near[0]}?" if near else f"in {place} there is {', '.join(names[:10]) or 'nothing'}."
    return (
        f"There is no {entry.source}, which weights in {spec.path.name} names; {hint}\n"
        "Put the file there, correct the path, or say where it is fetched from: source: URL, target: PATH."
    )
