"""What is known of images that were built before, so that building the same one again asks it nothing."""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from servekit.errors import ImageBuildError
from servekit_cli.environment.cache import cache_directory
from servekit_cli.image.description import Description, read_description
from servekit_cli.image.labels import CREATED

__all__ = ["Memory"]

_MOST: Final = 200
"""How many images are remembered; each takes some kilobytes."""


class Memory:
    """What is remembered of one image.

    Args:
        image_id: The image before it got its labels: another one as soon as anything in it is another.

    Attributes:
        description: What it said of itself; None if it was not asked yet.
        labels: The labels that were written on it.
        labelled: The image that it became by them.
    """

    def __init__(self, image_id: str) -> None:
        self._file: Final = cache_directory() / "descriptions" / f"{image_id.removeprefix('sha256:')}.json"
        self.labels: Mapping[str, str] = {}
        self.labelled: str | None = None
        self.description: Description | None = None
        self._load()

    def keep_time(self, labels: dict[str, str]) -> dict[str, str]:
        """Give labels the time of the last build if all else is as it was: the same image, then, and not a new one."""
        before = dict(self.labels)
        if {**labels, CREATED: ""} == {**before, CREATED: ""}:
            return before
        return labels

    def save(self, labels: Mapping[str, str], labelled: str) -> None:
        """Remember; what cannot be remembered is asked again the next time."""
        assert self.description is not None
        values = {"labels": dict(labels), "labelled": labelled, "description": asdict(self.description)}
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile("w", dir=self._file.parent, delete=False, encoding="utf-8") as part:
                json.dump(values, part)
            Path(part.name).replace(self._file)
            _forget_oldest(self._file.parent)
        except OSError:
            pass

    def _load(self) -> None:
        try:
            values: dict[str, Any] = json.loads(self._file.read_text(encoding="utf-8"))
            description = read_description(json.dumps(values["description"]))
            labels = {str(name): str(text) for name, text in values["labels"].items()}
            labelled = str(values["labelled"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError, ImageBuildError):
            return  # not there, or written by another version
        self.description, self.labels, self.labelled = description, labels, labelled


def _forget_oldest(folder: Path) -> None:
    files = sorted(folder.iterdir(), key=lambda file: file.stat().st_mtime)
    for file in files[:-_MOST]:
        file.unlink()
