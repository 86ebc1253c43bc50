"""What several commands take and do first."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from servekit_cli.terminal import say

if TYPE_CHECKING:
    from servekit.spec import Spec

__all__ = ["SpecOption", "describe_left_out", "load_spec_for_run", "say_what_is_left_out"]

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


def describe_left_out(spec: "Spec") -> str | None:
    """Say what of a spec's `build` is not done on this machine, with the remedy; None if that is nothing.

    Packages of the system need root, and commands may change anything: both belong into an image only.
    """
    left_out: list[str] = []
    if spec.build.system_packages:
        left_out.append(f"build.system_packages ({', '.join(spec.build.system_packages)})")
    if spec.build.run:
        left_out.append("build.run")
    if not left_out:
        return None
    return (
        f"{' and '.join(left_out)} count for images only; nothing of it is done on this machine.\n"
        "If the predictor misses something here, install it yourself."
    )


def say_what_is_left_out(spec: "Spec") -> None:
    """Tell the user of it, on stderr."""
    if text := describe_left_out(spec):
        say(f"Note: {text}")
