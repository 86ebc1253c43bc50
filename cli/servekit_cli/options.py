"""What several commands take and do first."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from servekit_cli.terminal import say

if TYPE_CHECKING:
    from servekit.spec import Spec

__all__ = ["SetOption", "SpecOption", "describe_left_out", "load_spec_for_run", "say_warnings", "say_what_is_left_out"]

SpecOption = Annotated[
    Path,
    typer.Option(
        "--file", "-f", help="The spec, or the folder with its servekit.yaml or cog.yaml.", show_default="this folder"
    ),
]


SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="One of the settings that the predictor declares, as JSON or else as text; several times for several. "
        "[SERVEKIT_SETTINGS]",
        show_default=False,
    ),
]


def load_spec_for_run(path: Path, flags: Mapping[str, object] | None = None) -> "Spec":
    """Take over the `build.environment` of a spec, and give it with what variables and flags override.

    A variable that is set already stays: the environment wins over the file, as everywhere. Those of the file may
    override settings as well, as they do in an image.

    Raises:
        SpecError: The file is missing or has faults.
        UsageError: A variable or a flag does not fit.
    """
    from servekit.spec import apply_overrides, load_spec  # noqa: PLC0415 - `--help` of a command need not wait for it

    spec = load_spec(path)
    for name, value in spec.build.environment.items():
        os.environ.setdefault(name, value)
    return apply_overrides(spec, os.environ, flags)


def say_warnings(spec: "Spec") -> None:
    """Tell the user on stderr what there is to know of the spec file; a server logs it by itself."""
    for warning in spec.warnings:
        say(f"Note: {warning}")


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
    """Tell the user of it on stderr, and of requirements that are installed nowhere.

    Raises:
        EnvironmentBuildError: A file that the spec names is not there.
    """
    from servekit_cli.environment.requirements import describe_provided  # noqa: PLC0415 - only with a spec

    for text in (describe_left_out(spec), describe_provided(spec)):
        if text is not None:
            say(f"Note: {text}")
