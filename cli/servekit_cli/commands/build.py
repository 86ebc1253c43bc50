"""`servekit build`."""

from pathlib import Path
from typing import Annotated

import typer

from servekit.errors import UsageError
from servekit_cli.options import SpecOption

__all__ = ["run"]


def run(
    file: SpecOption = Path(),
    *,
    dry_run: Annotated[
        Path | None,
        typer.Option(
            "--dry-run",
            metavar="DIR",
            help="Write the Dockerfile and all that it needs to a folder, and build nothing.",
        ),
    ] = None,
    secret: Annotated[
        list[str] | None,
        typer.Option(
            "--secret",
            metavar="id=NAME,src=FILE",
            help="Something that the build may read and the image does not hold: a file, or a variable with env=. "
            "ca, netrc, pip.conf and uv.toml are used when packages are downloaded.",
        ),
    ] = None,
) -> None:
    """Build the image of the predictor."""
    from servekit.spec import load_spec  # noqa: PLC0415 - `servekit build --help` answers at once
    from servekit_cli.image.dryrun import describe_build_command, write_dry_run  # noqa: PLC0415
    from servekit_cli.image.secrets import read_secrets  # noqa: PLC0415
    from servekit_cli.terminal import say  # noqa: PLC0415

    if dry_run is None:
        raise UsageError("Name a folder with --dry-run DIR.")
    secrets = read_secrets(secret or ())
    preparation = write_dry_run(load_spec(file), dry_run, secrets)
    for note in preparation.notes:
        say(f"Note: {note}")
    say(f"Written to {dry_run}. Build it with: {describe_build_command(dry_run, secrets)}")
