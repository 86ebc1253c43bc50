"""The entry point: which commands there are, and nothing of what they do.

Only the module of the command that was asked for is imported, so that `servekit --help` answers at once.
"""

import importlib
import os
import sys
from collections.abc import Callable, Collection
from typing import Annotated, Final

import typer

from servekit.server.early import exit_on_sigterm
from servekit_cli.border import EXIT_CODES, INTERRUPTED, guard, guard_stdout
from servekit_cli.streams import open_standard_streams

__all__ = ["COMMANDS", "main", "make_app"]

# Name, module and first sentence of help. A test keeps the sentences in step with the modules.
COMMANDS: Final = (
    ("init", "servekit_cli.commands.init", "Make a new project: a spec, a predictor and a README."),
    ("predict", "servekit_cli.commands.predict", "Run the predictor once, here or in an image, and print its output."),
    (
        "train",
        "servekit_cli.commands.train",
        "Run a Cog project's training once, here or in an image, and keep its output.",
    ),
    (
        "batch",
        "servekit_cli.commands.batch",
        "Run every row of a file through the predictor, here, in an image or on a server, and write all results.",
    ),
    ("serve", "servekit_cli.commands.serve", "Serve the predictor over HTTP, here or in an image."),
    ("build", "servekit_cli.commands.build", "Build the image of the predictor."),
    ("base", "servekit_cli.commands.base", "Make and list base images, which hold what is the same for many projects."),
    ("lock", "servekit_cli.commands.lock", "Pin every Python package of the image, with hashes, in servekit.lock."),
    (
        "inspect",
        "servekit_cli.commands.inspect",
        "Show what is in an image: its source, its inputs and output, its packages.",
    ),
    ("push", "servekit_cli.commands.push", "Push an image to its registry, with the credentials of docker login."),
    (
        "run",
        "servekit_cli.commands.exec",
        "Run a command in the environment of an image, in a container that is gone afterwards.",
    ),
    (
        "exec",
        "servekit_cli.commands.exec",
        "Run a command in the environment of an image, in a container that is gone afterwards.",
    ),
    ("schema", "servekit_cli.commands.schema", "Print the JSON Schema of the predictor's input and output."),
    ("doctor", "servekit_cli.commands.doctor", "Check spec, predictor and environment, and say what to do."),
)
_ALL: Final = tuple(name for name, _, _ in COMMANDS)

_SETTINGS: Final = {
    # What it does not take may be an input without -i; it says so itself.
    "predict": {"allow_extra_args": True},
    "train": {"allow_extra_args": True},
    # What stands behind the image is the command's.
    "run": {"allow_interspersed_args": False},
    "exec": {"allow_interspersed_args": False},
}


def main() -> None:
    """Run `servekit` with the arguments of the process, and exit."""
    open_standard_streams()
    arguments = sys.argv[1:]
    wanted = next((argument for argument in arguments if not argument.startswith("-")), None)
    if wanted == "serve":
        exit_on_sigterm()
    is_debug = "--debug" in arguments[: arguments.index(wanted) if wanted else None]
    try:
        app = make_app([wanted], is_debug=is_debug or bool(os.environ.get("SERVEKIT_DEBUG")))
    except KeyboardInterrupt:  # while the command was still being imported
        sys.exit(INTERRUPTED)
    guard_stdout(lambda: app(prog_name="servekit"))


def make_app(wanted: Collection[str | None] = _ALL, *, is_debug: bool = False) -> typer.Typer:
    """Make the application.

    Args:
        wanted: The commands that may be run; the others are there by their name and help only.
        is_debug: Whether errors show where in servekit they come from.
    """
    app = typer.Typer(
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
        epilog="Exit codes: " + ", ".join(f"{code} {meaning}" for code, meaning in EXIT_CODES.items()) + ".",
    )
    app.callback()(_options)
    for name, module, sentence in COMMANDS:
        if name in wanted:
            app.command(name, context_settings=_SETTINGS.get(name))(guard(_load(module), is_debug=is_debug))
        else:
            app.command(name, help=sentence)(_listed_only)
    return app


def _load(module: str) -> Callable[..., int | None]:
    run: Callable[..., int | None] = importlib.import_module(module).run
    return run


def _listed_only() -> None:
    """Stand for a command that is not the one that was asked for."""


def _show_version(value: bool) -> None:
    if value:
        from importlib.metadata import version  # noqa: PLC0415 - reads files, which `--help` need not wait for

        typer.echo(f"servekit {version('servekit')}")
        raise typer.Exit


def _options(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show where in servekit an error comes from (or set SERVEKIT_DEBUG=1).")
    ] = False,
) -> None:
    """Put a Python model into production."""
