"""What several commands take and do first."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from servekit.spec import Spec

__all__ = ["SpecOption", "load_spec_for_run"]

SpecOption = Annotated[
    Path,
    typer.Option("--file", "-f", help="The spec, or the folder with its servekit.yaml.", show_default="this folder"),
]


def load_spec_for_run(path: Path, flags: Mapping[str, object] | None = None) -> "Spec":
    """Load a spec with what variables and flags override, and take over its `build.environment`.

    A variable that is set already stays: the environment wins over the file, as everywhere.

    Raises:
        SpecError: The file is missing or has faults.
        UsageError: A variable or a flag does not fit.
    """
    from servekit.spec import apply_overrides, load_spec  # noqa: PLC0415 - `--help` of a command need not wait for it

    spec = apply_overrides(load_spec(path), os.environ, flags)
    for name, value in spec.build.environment.items():
        os.environ.setdefault(name, value)
    return spec
