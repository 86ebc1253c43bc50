"""`servekit inspect`."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from servekit.errors import UsageError

if TYPE_CHECKING:
    from servekit_cli.engine import Engine
    from servekit_cli.image.inspection import Inspection

__all__ = ["run"]


def run(
    image: Annotated[str, typer.Argument(metavar="IMAGE", help="The name or id of an image that servekit has built.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as one JSON object.")] = False,
    sbom: Annotated[
        Path | None,
        typer.Option("--sbom", metavar="FILE", help="Write a bill of materials (CycloneDX 1.6) too; - is stdout."),
    ] = None,
) -> None:
    """Show what is in an image: its source, its inputs and output, its packages.

    It is read from the image's labels. For --sbom a container of it is started, without network, to
    list what is really installed, with licences and the packages of the system.
    """
    if sbom is not None and str(sbom) == "-" and as_json:
        raise UsageError("--json and --sbom - both write to stdout.\nName a file for one of them.")
    from servekit_cli.engine import connect  # noqa: PLC0415 - Docker's SDK takes its time
    from servekit_cli.image.inspection import inspect  # noqa: PLC0415

    with connect() as engine:
        inspection = inspect(engine, image)
        if sbom is not None:
            _write_sbom(engine, inspection, sbom)
    if as_json:
        sys.stdout.write(json.dumps(inspection.to_json(), indent=2, ensure_ascii=False) + "\n")
    elif sbom is None:
        from servekit_cli.image.display import show_inspection  # noqa: PLC0415

        show_inspection(inspection)


def _write_sbom(engine: "Engine", inspection: "Inspection", target: Path) -> None:
    from servekit_cli.container.description import describe_image  # noqa: PLC0415 - see above
    from servekit_cli.image.sbom import make_sbom  # noqa: PLC0415
    from servekit_cli.terminal import show_progress  # noqa: PLC0415

    facts = inspection.facts
    with show_progress("Listing what is installed"):
        description = describe_image(engine, inspection.id)
    text = make_sbom(
        description,
        title=facts.title or inspection.name,
        version=facts.version,
        created=facts.created or inspection.created,
    )
    if str(target) == "-":
        sys.stdout.write(text)
        return
    try:
        target.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{target} cannot be written: {error.strerror}.\nName another file with --sbom.") from error
