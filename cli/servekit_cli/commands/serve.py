"""`servekit serve`, with one flag per field of `serve`."""

import inspect
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from servekit.errors import UsageError
from servekit.spec import MODE_VARIABLE, SET_FLAG, Setting, Spec, choose_mode, list_settings, load_spec
from servekit_cli.container_flags import (
    CpusFlag,
    EnvFileFlag,
    EnvFlag,
    GpusFlag,
    ImageArgument,
    MemoryFlag,
    PullFlag,
    VolumeFlag,
    check_image,
    read_run_options,
    refuse_without_image,
    take_variables,
)
from servekit_cli.options import SetOption, SpecOption, load_spec_for_run, say_what_is_left_out

if TYPE_CHECKING:
    from servekit_cli.engine import Engine

__all__ = ["run"]

_SHORT_FLAGS: Final[Mapping[str, tuple[str, ...]]] = {"port": ("-p",)}
"""Beside those that have the names of their fields, for what is typed most."""

_ReloadFlag = Annotated[
    bool, typer.Option("--reload", help="Load the predictor anew when a Python file of the project changes.")
]
_DockerFlag = Annotated[bool, typer.Option("--docker", help="Build the project's image, and serve that.")]
_TrainFlag = Annotated[
    bool | None,
    typer.Option(
        "--train/--no-train",
        help=f"Serve the project's trainings, one at a time, instead of its predictions. [{MODE_VARIABLE}]",
        show_default=False,
    ),
]


def _serve(
    image: ImageArgument = None,
    file: SpecOption = Path(),
    *,
    train: _TrainFlag = None,
    reload: _ReloadFlag = False,
    docker: _DockerFlag = False,
    set_values: SetOption = None,
    env: EnvFlag = None,
    env_file: EnvFileFlag = None,
    gpus: GpusFlag = None,
    memory: MemoryFlag = None,
    cpus: CpusFlag = None,
    volume: VolumeFlag = None,
    pull: PullFlag = False,
    **settings: object,
) -> int:
    """Serve the predictor over HTTP, here or in an image.

    Every field of `serve` in the spec has a flag here and a variable. A flag wins over the variable, and
    the variable over the spec. Ctrl-C lets running predictions finish; a second one ends at once
    (exit code 1).

    A Cog project may have trainings beside its predictions; one server runs either.

    With IMAGE or --docker, a container is started, reached at --host and --port, and removed at the end.
    """
    settings[SET_FLAG] = set_values
    if image is None and not docker:
        refuse_without_image("serve", gpus=gpus, memory=memory, cpus=cpus, volume=volume, pull=pull)
        take_variables(env, env_file)
        return _serve_here(file, train=train, reload=reload, flags=settings)
    if reload:
        raise UsageError("--reload follows the files of a project, and an image has its own.\nServe the project.")
    if image is not None:
        check_image(image, file)
        if docker:
            raise UsageError(f"--docker builds the image of a project, and {image} is there.\nLeave one of them out.")
    options = read_run_options(
        env=env, env_file=env_file, gpus=gpus, memory=memory, cpus=cpus, volume=volume, pull=pull
    )
    from servekit_cli.container.serve import serve_image  # noqa: PLC0415 - `servekit serve --help` need not wait for it
    from servekit_cli.engine import connect  # noqa: PLC0415

    with connect() as engine:
        return serve_image(engine, image or _build(engine, file), options, settings, train=train)


def _build(engine: "Engine", file: Path) -> str:
    from servekit_cli.building import BuildOptions, build_project, name_image  # noqa: PLC0415
    from servekit_cli.engine import make_view  # noqa: PLC0415
    from servekit_cli.image.secrets import read_secrets  # noqa: PLC0415

    spec = load_spec(file)
    name = name_image(spec)
    build_project(engine, spec, BuildOptions(names=(name,), secrets=read_secrets(())), make_view("auto"))
    return name


def _serve_here(file: Path, *, train: bool | None, reload: bool, flags: dict[str, object]) -> int:
    from servekit.server.run import serve  # noqa: PLC0415 - `servekit serve --help` need not wait for the server
    from servekit_cli.environment import needs_environment, prepare_environment  # noqa: PLC0415
    from servekit_cli.reloading import watch_code  # noqa: PLC0415
    from servekit_cli.weights import place_weights  # noqa: PLC0415

    spec = choose_mode(load_spec_for_run(file, flags), os.environ, train)
    if needs_environment(spec):
        _refuse_threads(spec)
    say_what_is_left_out(spec)
    python = prepare_environment(spec)
    place_weights(spec)
    changes = watch_code(spec.root) if reload else None
    return serve(spec, python=str(python), changes=changes)


def _refuse_threads(spec: Spec) -> None:
    if spec.serve.isolation == "thread":
        raise UsageError(
            "isolation: thread runs the predictor inside the server, which cannot be in another environment.\n"
            "Use isolation: process; or install the dependencies beside servekit and remove them from build."
        )


def _with_settings(function: Callable[..., int]) -> Callable[..., int]:
    """Give a function, in place of its `**settings`, the parameters that typer makes flags of: one per setting."""
    own = [each for each in inspect.signature(function).parameters.values() if each.kind is not each.VAR_KEYWORD]
    settings = [_make_parameter(setting) for setting in list_settings()]
    function.__signature__ = inspect.Signature([*own, *settings], return_annotation=int)  # type: ignore[attr-defined] # pyright: ignore[reportFunctionMemberAccess] # what inspect reads
    return function


def _make_parameter(setting: Setting) -> inspect.Parameter:
    kind: Any = bool | None if setting.is_switch else str | None
    names = f"{setting.flag}/--no-{setting.flag[2:]}" if setting.is_switch else setting.flag
    option = typer.Option(
        names,
        *_SHORT_FLAGS.get(setting.name, ()),
        help=f"{setting.description} [{', '.join(setting.variables)}; default {setting.default}]",
        metavar=None if setting.is_switch else _describe_value(setting),
        show_default=False,
    )
    return inspect.Parameter(
        setting.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind, option]
    )


def _describe_value(setting: Setting) -> str:
    return "|".join(setting.choices) or "VALUE"


run = _with_settings(_serve)
