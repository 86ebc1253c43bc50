"""`servekit init`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from servekit_cli.scaffold import write_project
from servekit_cli.terminal import say

__all__ = ["run"]


def run(
    directory: Annotated[
        Path, typer.Argument(metavar="[DIR]", help="Where to put it; made if need be.", show_default="this folder")
    ] = Path(),
    *,
    template: Annotated[
        Literal["hello", "stream", "async"],
        typer.Option(help="hello returns a value, stream yields text, async does many at once."),
    ] = "hello",
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that are there.")] = False,
) -> None:
    """Make a new project: a spec, a predictor and a README.

    The files are small and meant to be changed. Nothing is overwritten without --force.
    """
    for file in write_project(directory, template, overwrite=force):
        say(f"Made {file}")
    go_there = "" if directory.resolve() == Path.cwd() else f"cd {directory} && "
    say(f"Next: {go_there}servekit predict")
