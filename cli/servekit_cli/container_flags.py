"""What commands that can run an image take beside what they take for a project."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from servekit.errors import UsageError
from servekit_cli.variables import read_variables

if TYPE_CHECKING:
    from servekit_cli.container.options import RunOptions

__all__ = [
    "CpusFlag",
    "EnvFileFlag",
    "EnvFlag",
    "GpusFlag",
    "ImageArgument",
    "MemoryFlag",
    "PullFlag",
    "VolumeFlag",
    "check_image",
    "read_run_options",
    "refuse_without_image",
    "take_variables",
]

_SPEC_NAMES = ("servekit.yaml", "cog.yaml")

ImageArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[IMAGE]", help="An image that servekit has built, instead of a project.", show_default=False
    ),
]
EnvFlag = Annotated[
    list[str] | None,
    typer.Option("--env", "-e", metavar="NAME=VALUE", help="A variable for what is run; NAME alone passes it on."),
]
EnvFileFlag = Annotated[
    list[Path] | None, typer.Option("--env-file", metavar="FILE", help="Variables for what is run, one a line.")
]
GpusFlag = Annotated[
    str | None,
    typer.Option("--gpus", metavar="auto|all|none|0,1", help="The GPUs of the container. [default auto: if it asks]"),
]
MemoryFlag = Annotated[
    str | None, typer.Option("--memory", metavar="SIZE", help="How much memory the container may use, as 512m or 4g.")
]
CpusFlag = Annotated[
    float | None, typer.Option("--cpus", metavar="NUMBER", min=0.01, help="How many processors it may use, as 1.5.")
]
VolumeFlag = Annotated[
    list[str] | None,
    typer.Option(
        "--volume", "-v", metavar="SOURCE:TARGET", help="A file or folder for the container; :ro to read only."
    ),
]
PullFlag = Annotated[bool, typer.Option("--pull", help="Ask the image's registry for it, even if one is here.")]


def check_image(image: str, file: Path) -> None:
    """Make sure that a word means an image, and that no project is named beside it.

    Raises:
        UsageError: It is a folder with a spec in it, or a spec; or `--file` names a project.
    """
    path = Path(image)
    if path.suffix in (".yaml", ".yml") or any((path / name).is_file() for name in _SPEC_NAMES):
        raise UsageError(
            f"{image} is a project, which is given as --file {image}.\n"
            f"If you mean an image of this name, write it with its tag: {path.name}:latest"
        )
    if file != Path():
        raise UsageError(f"--file {file} names a project, and {image} an image.\nGive one of them.")


def read_run_options(
    *,
    env: list[str] | None,
    env_file: list[Path] | None,
    gpus: str | None,
    memory: str | None,
    cpus: float | None,
    volume: list[str] | None,
    pull: bool,
) -> "RunOptions":
    """Read what the flags say of a container.

    Raises:
        UsageError: One of them cannot be read.
    """
    from servekit_cli.container import options  # noqa: PLC0415 - loads the Docker SDK

    return options.RunOptions(
        environment=read_variables(env or (), env_file or ()),
        gpus="auto" if gpus is None else options.read_gpus(gpus),
        memory_bytes=None if memory is None else options.read_memory(memory),
        cpus=cpus,
        mounts=tuple(options.read_mount(each) for each in volume or ()),
        pull=pull,
    )


def take_variables(env: list[str] | None, env_file: list[Path] | None) -> None:
    """Set variables for what runs here, in no container.

    Raises:
        UsageError: One of them cannot be read.
    """
    os.environ.update(read_variables(env or (), env_file or ()))


def refuse_without_image(command: str, **flags: object) -> None:
    """Refuse flags that would have no effect, as there is no container.

    Args:
        command: Which was called.
        flags: What each flag for a container was given.

    Raises:
        UsageError: One of them was given.
    """
    given = ["--" + name.replace("_", "-") for name, value in flags.items() if value]
    if given:
        raise UsageError(
            f"{' and '.join(given)} would have no effect: the project runs here, in no container.\n"
            f"Name an image to run it in one: servekit {command} IMAGE {given[0]} ..."
        )
