"""`servekit base`."""

from enum import StrEnum
from typing import Annotated

import typer

__all__ = ["run"]


class Action(StrEnum):
    """What is done with base images."""

    BUILD = "build"
    LIST = "list"


def run(
    action: Annotated[Action, typer.Argument(help="build makes one, list shows those on the engine.")],
    *,
    python: Annotated[str, typer.Option(metavar="VERSION", help="The Python of the image to build.")] = "3.12",
    secret: Annotated[
        list[str] | None,
        typer.Option(
            "--secret", metavar="id=NAME,src=FILE", help="As for servekit build: ca, netrc, pip.conf, uv.toml."
        ),
    ] = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Run every step anew.")] = False,
    pull: Annotated[bool, typer.Option("--pull", help="Ask for a newer Python image.")] = False,
) -> None:
    """Make and list base images, which hold what is the same for many projects.

    servekit build takes one that fits: of the same servekit, the same packages and the same Python.
    """
    from servekit_cli.engine import connect  # noqa: PLC0415 - Docker's SDK takes its time

    with connect() as engine:
        if action is Action.LIST:
            from servekit_cli.building import list_bases  # noqa: PLC0415

            for base in list_bases(engine):
                use = "fits" if base.fits else f"of servekit {base.version}; not used"
                typer.echo(f"{base.name}\tPython {base.python}\t{base.size_bytes / 1e6:.0f} MB\t{use}")
            return
        from servekit.errors import UsageError  # noqa: PLC0415
        from servekit.spec import SUPPORTED_PYTHONS  # noqa: PLC0415
        from servekit_cli.building import build_base  # noqa: PLC0415
        from servekit_cli.engine import make_view  # noqa: PLC0415
        from servekit_cli.image.secrets import read_secrets  # noqa: PLC0415

        if python not in SUPPORTED_PYTHONS:
            raise UsageError(f"--python is {python}; supported are {', '.join(SUPPORTED_PYTHONS)}.")
        secrets = read_secrets(secret or ())
        typer.echo(build_base(engine, python, secrets, make_view("auto"), no_cache=no_cache, pull=pull))
