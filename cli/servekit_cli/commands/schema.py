"""`servekit schema`."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from servekit.errors import UsageError
from servekit_cli.options import SpecOption, load_spec_for_run, say_warnings

__all__ = ["run"]


def run(
    file: SpecOption = Path(),
    *,
    only_input: Annotated[bool, typer.Option("--input", help="Only the schema of the input.")] = False,
    only_output: Annotated[bool, typer.Option("--output", help="Only the schema of the output.")] = False,
    train: Annotated[bool, typer.Option("--train", help="The schemas of the project's training.")] = False,
    of_spec: Annotated[bool, typer.Option("--spec", help="The schema of servekit.yaml itself, for editors.")] = False,
) -> None:
    """Print the JSON Schema of the predictor's input and output.

    The predictor is imported for it, but its setup is not run.
    """
    if only_input + only_output + of_spec > 1:
        raise UsageError("--input, --output and --spec exclude each other.\nGive one of them, or none for both parts.")
    if of_spec and train:
        raise UsageError("--spec is the schema of servekit.yaml, which has no trainings.\nLeave --train out.")
    if of_spec:
        from servekit.spec.schema import render_spec_schema  # noqa: PLC0415 - works without any project

        sys.stdout.write(render_spec_schema())
        return
    from servekit_cli.environment import prepare_environment  # noqa: PLC0415 - not for --spec
    from servekit_cli.running import inspect_model  # noqa: PLC0415

    spec = load_spec_for_run(file)
    if train:
        spec = spec.for_mode("train")
    say_warnings(spec)
    model = inspect_model(spec, prepare_environment(spec))
    both = {"input": model.input_schema, "output": model.output_schema}
    chosen = both["input"] if only_input else both["output"] if only_output else both
    sys.stdout.write(json.dumps(chosen, indent=2, ensure_ascii=False) + "\n")
