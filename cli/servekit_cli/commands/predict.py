"""`servekit predict`."""

import shlex
from pathlib import Path
from typing import Annotated, Final, NoReturn

import typer

from servekit.errors import UsageError
from servekit_cli.options import SpecOption, load_spec_for_run, say_what_is_left_out

__all__ = ["run"]


def run(
    context: typer.Context,
    file: SpecOption = Path(),
    *,
    values: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            "-i",
            metavar="NAME=VALUE",
            help="One input. @FILE sends a file, or the text in it, @- the text on stdin; several times for a list.",
        ),
    ] = None,
    json_text: Annotated[
        str | None,
        typer.Option("--json", metavar="JSON", help="All inputs as one JSON object, @FILE, or @- for stdin."),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Write the output to a file; - is stdout, also for a picture and the like.",
            show_default="stdout",
        ),
    ] = None,
) -> None:
    """Run the predictor once, here, and print its output.

    Items are printed as they come: text as it is, other values as one line of JSON each. Files go to
    output.png and the like. Everything else, such as the predictor's logs, goes to stderr.

    A text from @FILE is taken as it is, with the newline at its end; a secret loses that one newline.
    """
    if context.args:
        _refuse_stray(context.args)
    from servekit_cli.inputs import read_arguments  # noqa: PLC0415 - `servekit predict --help` answers at once
    from servekit_cli.targets import check_place, parse_target  # noqa: PLC0415

    request = read_arguments(values or (), json_text)
    target = parse_target(output)
    check_place(target)

    from servekit_cli.environment import prepare_environment  # noqa: PLC0415
    from servekit_cli.running import predict_once  # noqa: PLC0415

    spec = load_spec_for_run(file)
    say_what_is_left_out(spec)
    predict_once(spec, prepare_environment(spec), request, target)


def _refuse_stray(words: list[str]) -> NoReturn:
    pairs = " ".join(f"-i {shlex.quote(word)}" for word in words)
    advice = f"An input is given with -i: servekit predict {pairs}" if all("=" in word for word in words) else _HOW
    raise UsageError(f"servekit predict takes no {' '.join(map(repr, words))} by itself.\n{advice}")


_HOW: Final = "Inputs are given as -i name=value, and the project as --file FOLDER."
