"""The two ends of a prediction, as a model's schemas want them, wherever it runs."""

from servekit.errors import InputError
from servekit.runtime.model import Model
from servekit.schema import InputChecker
from servekit_cli.hints import add_input_hints
from servekit_cli.inputs import InputRequest, PredictionInput
from servekit_cli.outputs import OutputWriter
from servekit_cli.schemas import Schema
from servekit_cli.targets import Target

__all__ = ["fit_input", "make_writer"]


def fit_input(request: InputRequest, schema: Schema) -> PredictionInput:
    """Read an input as a model wants it, and check it.

    Raises:
        InputError: It does not fit; each problem says how the command is to be written.
        UsageError: A file is missing, or something is given twice that is no list.
    """
    try:
        fitted = request.fit(schema)
        # A server may have to take whatever a client adds; a name that is typed wrong here is a mistake.
        InputChecker({**schema, "additionalProperties": False}).check(fitted.raw)
    except InputError as error:
        raise add_input_hints(error, request, schema) from None
    return fitted


def make_writer(model: Model, target: Target) -> OutputWriter:
    """Make what writes a model's output where `-o` says."""
    return OutputWriter(model.output_schema, streams=model.streams, concatenates=model.concatenates, target=target)
