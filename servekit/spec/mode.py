"""Whether a server runs a project's predictions or its trainings: one server does one of the two."""

from collections.abc import Mapping
from typing import Final

from pydantic import TypeAdapter, ValidationError

from servekit.errors import UsageError
from servekit.spec.model import Spec

__all__ = ["MODE_VARIABLE", "choose_mode", "wants_training"]

MODE_VARIABLE: Final = "SERVEKIT_TRAIN"
"""The variable that says, as the flag `--train` does, that trainings are served."""


def wants_training(environ: Mapping[str, str], flag: bool | None = None) -> bool | None:
    """Say whether trainings are asked for; None if nothing is said of it.

    Args:
        environ: The environment; a variable that is empty counts as not set.
        flag: What the command line says, which wins; None counts as not given.

    Raises:
        UsageError: The variable is neither true nor false.
    """
    text = environ.get(MODE_VARIABLE)
    if flag is not None or not text:
        return flag
    try:
        return TypeAdapter(bool).validate_python(text)
    except ValidationError:
        message = f'{MODE_VARIABLE} is "{text}"; it must be true or false.'
        raise UsageError(message) from None


def choose_mode(spec: Spec, environ: Mapping[str, str], flag: bool | None = None) -> Spec:
    """Give the spec for what a server is to run: predictions, unless trainings are asked for or are all there is.

    Args:
        spec: With all overrides applied.
        environ: See `wants_training`.
        flag: See `wants_training`.

    Raises:
        UsageError: The project has nothing to serve of what is asked for; or the variable cannot be read.
    """
    match wants_training(environ, flag):
        case None:
            return spec.for_mode(spec.mode)
        case is_wanted:
            return spec.for_mode("train" if is_wanted else "predict")
