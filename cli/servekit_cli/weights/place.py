"""Put weights that come from elsewhere where the predictor looks for them, for a run on this machine."""

import os
import shutil
import tempfile
from pathlib import Path

from servekit.errors import WeightsError
from servekit.spec import Spec
from servekit_cli.weights.cache import find_blob
from servekit_cli.weights.digests import digest_file
from servekit_cli.weights.resolve import WeightFile, resolve_entry

__all__ = ["link_or_copy", "place_weights"]


def place_weights(spec: Spec) -> None:
    """Have each entry of a spec with a source of its own at its target in the project.

    Fetched files are linked where the file system can, so nothing is there twice; for those from elsewhere on
    this machine there is a symbolic link. What is in the way is replaced only if nothing is lost by it.

    Raises:
        WeightsError: A file is missing, cannot be fetched or placed, or another one is in its place.
    """
    for entry in spec.weights:
        if entry.source == entry.target:
            continue
        for file in resolve_entry(spec, entry):
            try:
                _place(file, spec.root / file.target, is_kept=entry.is_remote)
            except OSError as error:
                raise WeightsError(
                    f"{file.target} cannot be written into {spec.root}: {error.strerror or error}.\n"
                    "See whether you may write there, or make room."
                ) from error


def _place(file: WeightFile, target: Path, *, is_kept: bool) -> None:
    if target.exists() and not target.is_symlink():
        if target.samefile(file.path) or (present := digest_file(target)) == file.sha256:
            return
        if find_blob(present) is None:
            raise WeightsError(
                f"{target} is there already, and is another file than weights names for it.\n"
                "Move it away if it is yours, or give the entry another target."
            )
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".servekit-") as folder:
        part = Path(folder, target.name)
        if is_kept:
            link_or_copy(file.path, part)
        else:
            part.symlink_to(file.path.absolute())
        part.replace(target)


def link_or_copy(source: Path, target: Path) -> None:
    """Put a file at another path as well, where there is none yet.

    Raises:
        OSError: It cannot be written.
    """
    try:
        os.link(os.path.realpath(source), target)
    except OSError:  # another file system, or one without links
        shutil.copy2(source, target)
