"""`servekit predict`."""

from pathlib import Path
from typing import Annotated

import typer

from servekit_cli.options import SpecOption, load_spec_for_run

__all__ = ["run"]


def run(
    file: SpecOption = Path(),
    *,
    values: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            "-i",
            metavar="NAME=VALUE",
            help="One input. @FILE sends a file, or the text in it; give it several times for a list.",
        ),
    ] = None,
    json_text: Annotated[
        str | None,
        typer.Option("--json", metavar="JSON", help="All inputs as one JSON object, @FILE, or @- for stdin."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write the output to a file.", show_default="stdout"),
    ] = None,
) -> None:
    """Run the predictor once, here, and print its output.

    Items are printed as they come: text as it is, other values as one line of JSON each. Files go to
    output.png and the like. Everything else, such as the predictor's logs, goes to stderr.
    """
    from servekit_cli.inputs import read_arguments  # noqa: PLC0415 - `servekit predict --help` answers at once
    from servekit_cli.outputs import check_target  # noqa: PLC0415

    request = read_arguments(values or (), json_text)
    check_target(output)

    from servekit_cli.environment import prepare_environment  # noqa: PLC0415
    from servekit_cli.running import predict_once  # noqa: PLC0415

    spec = load_spec_for_run(file)
    predict_once(spec, prepare_environment(spec), request, output)
