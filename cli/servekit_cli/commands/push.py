"""`servekit push`."""

from pathlib import Path
from typing import Annotated

import typer

from servekit.errors import UsageError
from servekit_cli.options import SpecOption

__all__ = ["run"]


def run(
    image: Annotated[
        str | None, typer.Argument(metavar="[IMAGE]", help="The image to push.", show_default="the spec's image")
    ] = None,
    file: SpecOption = Path(),
) -> None:
    """Push an image to its registry, with the credentials of docker login.

    The registry is part of the name: registry.example.com/team/my-model:v1. Layers that it has are not
    sent again. The name with the digest, which stands for this very image for ever, goes to stdout.
    """
    from servekit_cli.engine import connect, parse_image_name, push_image  # noqa: PLC0415 - Docker's SDK takes its time
    from servekit_cli.terminal import show_progress  # noqa: PLC0415

    name = image or _image_of_spec(file)
    target = parse_image_name(name)
    doing = f"Pushing {target}"
    with connect() as engine, show_progress(doing, done=f"Pushed {target}") as progress:
        digest = push_image(engine, name, lambda text: progress.update(f"{doing}: {text}"))
    typer.echo(f"{target.repository}@{digest}")


def _image_of_spec(file: Path) -> str:
    from servekit.spec import load_spec  # noqa: PLC0415 - only without an image

    spec = load_spec(file)
    if spec.image is None:
        raise UsageError(
            f"servekit push needs the name of an image: {spec.path} has no line image.\n"
            "Name one: servekit push registry.example.com/team/my-model"
        )
    return spec.image
