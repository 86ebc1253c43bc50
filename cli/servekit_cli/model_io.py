"""An input on its way to a model, wherever that runs."""

from collections.abc import Generator
from contextlib import contextmanager

from servekit.errors import InputError
from servekit.runtime.prediction import Status
from servekit.schema import InputChecker
from servekit.spec import Mode
from servekit_cli.inputs import InputRequest, PredictionInput
from servekit_cli.refusals import explain_input
from servekit_cli.schemas import Schema

__all__ = ["describe_failure", "explained", "fit_input"]


def fit_input(request: InputRequest, schema: Schema) -> PredictionInput:
    """Read an input as a model wants it, and check it.

    Raises:
        InputError: It does not fit; each problem says how the command is to be written.
        UsageError: A file is missing, or something is given twice that is no list.
    """
    fitted = request.fit(schema)
    with explained(request, schema):
        # A server may have to take whatever a client adds; a name that is typed wrong here is a mistake.
        InputChecker({**schema, "additionalProperties": False}).check(fitted.raw)
    return fitted


@contextmanager
def explained(request: InputRequest, schema: Schema) -> Generator[None]:
    """Let an input be refused in the words of the command line.

    Raises:
        InputError: The block has raised it.
    """
    try:
        yield
    except InputError as error:
        raise explain_input(error, request, schema) from None


def describe_failure(mode: Mode, status: Status, error: str | None) -> str:
    """Say how a prediction, or a training, ended that did not succeed."""
    return f"The {'training' if mode == 'train' else 'prediction'} {status}: {error}"
