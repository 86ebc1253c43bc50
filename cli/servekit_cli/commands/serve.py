"""`servekit serve`, with one flag per field of `serve`."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from servekit.errors import UsageError
from servekit.spec import Setting, Spec, list_settings
from servekit_cli.options import SpecOption, load_spec_for_run, say_what_is_left_out

__all__ = ["run"]


def _serve(file: Path, *, reload: bool, **flags: object) -> int:
    """Serve the predictor over HTTP.

    Every field of `serve` in the spec has a flag here and a variable. A flag wins over the variable, and
    the variable over the spec. Ctrl-C lets running predictions finish; a second one ends at once
    (exit code 1).
    """
    from servekit.server.run import serve  # noqa: PLC0415 - `servekit serve --help` need not wait for the server
    from servekit_cli.environment import needs_environment, prepare_environment  # noqa: PLC0415
    from servekit_cli.reloading import watch_code  # noqa: PLC0415

    spec = load_spec_for_run(file, flags)
    if needs_environment(spec):
        _refuse_threads(spec)
    say_what_is_left_out(spec)
    changes = watch_code(spec.root) if reload else None
    return serve(spec, python=str(prepare_environment(spec)), changes=changes)


def _refuse_threads(spec: Spec) -> None:
    if spec.serve.isolation == "thread":
        raise UsageError(
            "isolation: thread runs the predictor inside the server, which cannot be in another environment.\n"
            "Use isolation: process; or install the dependencies beside servekit and remove them from build."
        )


def _with_flags(function: Callable[..., int]) -> Callable[..., int]:
    """Give a function the parameters that typer makes flags of: its own, and one per setting."""
    own = [
        inspect.Parameter("file", inspect.Parameter.POSITIONAL_OR_KEYWORD, default=Path(), annotation=SpecOption),
        inspect.Parameter(
            "reload",
            inspect.Parameter.KEYWORD_ONLY,
            default=False,
            annotation=Annotated[
                bool,
                typer.Option("--reload", help="Load the predictor anew when a Python file of the project changes."),
            ],
        ),
    ]
    settings = [_make_parameter(setting) for setting in list_settings()]
    function.__signature__ = inspect.Signature([*own, *settings], return_annotation=int)  # type: ignore[attr-defined] # pyright: ignore[reportFunctionMemberAccess] # what inspect reads
    return function


def _make_parameter(setting: Setting) -> inspect.Parameter:
    kind: Any = bool | None if setting.is_switch else str | None
    names = f"{setting.flag}/--no-{setting.flag[2:]}" if setting.is_switch else setting.flag
    option = typer.Option(
        names,
        help=f"{setting.description} [{', '.join(setting.variables)}; default {setting.default}]",
        metavar=None if setting.is_switch else _describe_value(setting),
        show_default=False,
    )
    return inspect.Parameter(
        setting.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind, option]
    )


def _describe_value(setting: Setting) -> str:
    return "|".join(setting.choices) or "VALUE"


run = _with_flags(_serve)
