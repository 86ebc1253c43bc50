"""`servekit run`, which is `servekit exec` as well."""

from typing import Annotated

import typer

from servekit_cli.container_flags import (
    CpusFlag,
    EnvFileFlag,
    EnvFlag,
    GpusFlag,
    MemoryFlag,
    VolumeFlag,
    read_run_options,
)

__all__ = ["run"]


def run(
    image: Annotated[str, typer.Argument(metavar="IMAGE", help="The image, by name or id.")],
    command: Annotated[
        list[str], typer.Argument(metavar="COMMAND...", help="The program and its arguments, as they are.")
    ],
    *,
    env: EnvFlag = None,
    env_file: EnvFileFlag = None,
    gpus: GpusFlag = None,
    memory: MemoryFlag = None,
    cpus: CpusFlag = None,
    volume: VolumeFlag = None,
    network: Annotated[
        str | None,
        typer.Option("--network", metavar="NAME", help="none, host, or one of the engine's.", show_default=False),
    ] = None,
) -> int:
    """Run a command in the environment of an image, in a container that is gone afterwards.

    It has this terminal, or stdin, stdout and stderr, and the exit code is its own. Options stand before
    the image: servekit run --network none my-model python -c 'import torch'
    """
    options = read_run_options(
        env=env, env_file=env_file, gpus=gpus, memory=memory, cpus=cpus, volume=volume, pull=False
    )
    from servekit_cli.engine import connect  # noqa: PLC0415 - Docker's SDK takes its time
    from servekit_cli.executing import execute  # noqa: PLC0415

    with connect() as engine:
        return execute(engine, image, command, options, network)
