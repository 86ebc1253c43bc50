"""`servekit build`."""

import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from servekit.errors import UsageError
from servekit_cli.options import SpecOption

if TYPE_CHECKING:
    from servekit.spec import Spec
    from servekit_cli.building import BuiltImage
    from servekit_cli.engine import BuildSecret
    from servekit_cli.engine.views import ProgressKind

__all__ = ["run"]

_MEGABYTE = 1e6
_PLATFORM = re.compile(r"(linux/)?(386|amd64|arm|arm64|ppc64le|riscv64|s390x)(/v[0-9]+)?")
"""The processors that official Python images exist for."""
_PROGRESS = ("auto", "tty", "plain", "quiet")


def run(
    file: SpecOption = Path(),
    *,
    tag: Annotated[
        list[str] | None,
        typer.Option(
            "--tag",
            "-t",
            metavar="NAME",
            help="A name for the image; may be repeated.",
            show_default="the spec's image",
        ),
    ] = None,
    dry_run: Annotated[
        Path | None,
        typer.Option(
            "--dry-run",
            metavar="DIR",
            help="Write the Dockerfile and all that it needs to a folder, and build nothing. Needs no engine.",
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
    platform: Annotated[
        str | None,
        typer.Option(metavar="OS/ARCH", help="As linux/amd64 or linux/arm64.", show_default="the engine's own"),
    ] = None,
    network: Annotated[
        str | None, typer.Option(metavar="MODE", help="The network of the build's steps: host, none, or a name.")
    ] = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Run every step anew.")] = False,
    pull: Annotated[bool, typer.Option("--pull", help="Ask for newer base images.")] = False,
    sbom: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a bill of materials (CycloneDX JSON) of what is in the image."),
    ] = None,
    progress: Annotated[
        str, typer.Option(metavar="|".join(_PROGRESS), help="How to show the steps; auto is live on a terminal.")
    ] = "auto",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no steps, and print the image's id.")] = False,
) -> None:
    """Build the image of the predictor.

    What the Dockerfile has is what the spec says under build and weights; --dry-run shows it. The image
    is asked what it takes and gives before it gets its name, so that one that cannot work does not get it.
    """
    from servekit.spec import load_spec  # noqa: PLC0415 - `servekit build --help` answers at once
    from servekit_cli.image.secrets import read_secrets  # noqa: PLC0415

    if progress not in _PROGRESS:
        raise UsageError(f"--progress is {progress!r}; expected is one of {', '.join(_PROGRESS)}.")
    if platform is not None and not _PLATFORM.fullmatch(platform):
        raise UsageError(f"--platform is {platform!r}; expected is one such as linux/amd64 or linux/arm64.")
    if sbom is not None and not os.access(sbom.parent, os.W_OK):
        raise UsageError(f"--sbom is {sbom}, and nothing can be written to {sbom.parent}. Name another file.")
    spec = load_spec(file)
    secrets = read_secrets(secret or ())
    if dry_run is not None:
        _write(spec, dry_run, secrets)
        return
    from servekit_cli.building import BuildOptions, build_project, name_image  # noqa: PLC0415
    from servekit_cli.engine import connect, inspect_image, make_view  # noqa: PLC0415
    from servekit_cli.terminal import say  # noqa: PLC0415

    options = BuildOptions(
        names=tuple(tag or [name_image(spec)]),
        secrets=secrets,
        platform=platform,
        network=network,
        no_cache=no_cache,
        pull=pull,
        source_date_epoch=_read_epoch(),
    )
    kind: ProgressKind = "quiet" if quiet else progress  # type: ignore[assignment] # checked above
    began = time.monotonic()
    with connect() as engine:
        built = build_project(engine, spec, options, make_view(kind))
        size = inspect_image(engine, built.id).size_bytes / _MEGABYTE
    if sbom is not None:
        _write_sbom(sbom, options.names[0], built)
    if quiet:
        typer.echo(built.id)
        return
    say(f"Built {', '.join(options.names)} in {time.monotonic() - began:.1f} s ({size:,.0f} MB).")
    say(f"Run it: servekit serve {options.names[0]}, or docker run -p 5000:5000 {options.names[0]}")


def _write(spec: "Spec", folder: Path, secrets: "tuple[BuildSecret, ...]") -> None:
    from servekit_cli.image.dryrun import describe_build_command, write_dry_run  # noqa: PLC0415
    from servekit_cli.terminal import say  # noqa: PLC0415

    preparation = write_dry_run(spec, folder, secrets)
    for note in preparation.notes:
        say(f"Note: {note}")
    say(f"Written to {folder}. Build it with: {describe_build_command(folder, secrets)}")


def _write_sbom(file: Path, title: str, built: "BuiltImage") -> None:
    from servekit_cli.image.sbom import make_sbom  # noqa: PLC0415 - only where it was asked for

    text = make_sbom(built.description, title=title, version=built.version, created=built.created)
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"The image is built, but {file} cannot be written: {error.strerror}.") from error


def _read_epoch() -> int | None:
    text = os.environ.get("SOURCE_DATE_EPOCH")
    if not text:
        return None
    if not text.isdigit():
        raise UsageError(
            f"SOURCE_DATE_EPOCH is {text!r}; expected are seconds since 1970, as from: git log -1 --format=%ct"
        )
    return int(text)
