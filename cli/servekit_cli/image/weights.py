"""Weights as an image of their own, which code is put upon: editing code never sends or builds them again."""

import hashlib
import shutil
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from servekit_cli.weights import WeightFile
from servekit_cli.weights.place import link_or_copy

__all__ = ["WEIGHTS_REPOSITORY", "stage_weights", "weights_digest", "weights_tag"]

WEIGHTS_REPOSITORY: Final = "servekit-weights"

_TAG_DIGITS: Final = 12
_DOCKERFILE: Final = "FROM scratch\nCOPY files/ /\n"


def weights_digest(files: Iterable[WeightFile]) -> str:
    """Give a SHA-256 over where weights go and what is in them, in hexadecimal digits."""
    lines = sorted(f"{file.target}\0{file.sha256}\n" for file in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def weights_tag(files: Iterable[WeightFile]) -> str:
    """Name the image for these weights: `servekit-weights:0123456789ab`."""
    return f"{WEIGHTS_REPOSITORY}:{weights_digest(files)[:_TAG_DIGITS]}"


def stage_weights(files: Iterable[WeightFile], folder: Path) -> None:
    """Write the build context of the image with the weights: a Dockerfile, and the files below `files/`.

    Nothing is copied that can be linked.

    Args:
        files: What goes in.
        folder: There and empty; on the file system of the files, if they are to be linked.

    Raises:
        OSError: It cannot be written.
    """
    (folder / "files").mkdir()
    (folder / "Dockerfile").write_text(_DOCKERFILE, encoding="utf-8")
    for file in files:
        target = folder / "files" / file.target
        target.parent.mkdir(parents=True, exist_ok=True)
        if file.path.stat().st_mode & stat.S_IROTH:
            link_or_copy(file.path, target)
        else:  # the image's user could not read it, and the mode of a link is that of the file
            shutil.copyfile(file.path, target)
            target.chmod(0o644)
