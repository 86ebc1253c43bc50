"""A small Cog project, as files."""

import sys
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

__all__ = ["Project"]

_PYTHON: Final = f"{sys.version_info.major}.{sys.version_info.minor}"


@dataclass(frozen=True)
class Project:
    """A Cog project.

    Attributes:
        name: Its folder.
        code: run.py, which has a `Runner`, and may have a function `train`.
        slots: `concurrency.max`.
        arguments: More of them for `python -m cog.server.http`; `{files}` is where the side's uploads go.
        environment: More variables, for both servers.
        is_ready: Whether its setup ends before the first case is asked.
        is_guarded: Whether servekit sends and fetches nothing on private networks, as it does by default.
    """

    name: str
    code: str
    slots: int = 1
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    is_ready: bool = True
    is_guarded: bool = False

    def write(self, root: Path) -> None:
        """Write its files."""
        root.mkdir(parents=True)
        (root / "run.py").write_text(textwrap.dedent(self.code))
        concurrency = f"concurrency:\n  max: {self.slots}\n" if self.slots > 1 else ""
        train = "train: run.py:train\n" if "def train(" in self.code else ""
        (root / "cog.yaml").write_text(
            f'build:\n  python_version: "{_PYTHON}"\nrun: run.py:Runner\n{train}{concurrency}'
        )
