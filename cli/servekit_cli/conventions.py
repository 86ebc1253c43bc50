"""What `servekit predict` and `servekit train` read and print in the projects of each dialect."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from servekit.runtime.model import Model
from servekit.spec import Dialect, Mode
from servekit_cli.cog_outputs import CogOutputWriter, PredictionWriter
from servekit_cli.inputs import InputRequest
from servekit_cli.outputs import OutputWriter, Writer
from servekit_cli.schemas import Schema
from servekit_cli.targets import Target, check_files, check_target
from servekit_cli.trained import WeightsWriter, find_weights

__all__ = ["CONVENTIONS", "Conventions", "find_conventions"]


@dataclass(frozen=True)
class Conventions:
    """The habits of those who run projects of one dialect.

    Attributes:
        read: Reads the arguments as they were meant.
        check_target: Raises `UsageError` if an output cannot go where `-o` says, before anything is computed.
        make_writer: Makes what shows a prediction.
    """

    read: Callable[[InputRequest], InputRequest]
    check_target: Callable[[InputRequest, Target, Schema], None]
    make_writer: Callable[[InputRequest, Target, Model], Writer]


def _read_as_written(request: InputRequest) -> InputRequest:
    return request


def _check_output(_: InputRequest, target: Target, schema: Schema) -> None:
    check_target(target, schema)


def _write_output(_: InputRequest, target: Target, model: Model) -> Writer:
    return OutputWriter(model.output_schema, streams=model.streams, concatenates=model.concatenates, target=target)


def _check_cog_output(request: InputRequest, target: Target, schema: Schema) -> None:
    if request.has_json:
        check_files(target, schema)
    else:
        check_target(target, schema)


def _write_cog_output(request: InputRequest, target: Target, model: Model) -> Writer:
    if request.has_json:
        return PredictionWriter(model.output_schema, streams=model.streams, target=target)
    if model.streams and target is None and sys.stdout.isatty():
        # A person sees it as it comes; Cog shows a list at the end, which is for programs.
        return _write_output(request, target, model)
    return CogOutputWriter(model.output_schema, streams=model.streams, target=target)


def _check_trained(_: InputRequest, target: Target, schema: Schema) -> None:
    check_target(target, find_weights(schema) or schema)


def _write_trained(_: InputRequest, target: Target, model: Model) -> Writer:
    weights = find_weights(model.output_schema)
    if weights is not None:
        return WeightsWriter(CogOutputWriter(weights, streams=False, target=target))
    return CogOutputWriter(model.output_schema, streams=model.streams, target=target)


CONVENTIONS: Final[Mapping[Dialect, Conventions]] = {
    "servekit": Conventions(_read_as_written, _check_output, _write_output),
    "cog": Conventions(InputRequest.unquoted, _check_cog_output, _write_cog_output),
}
"""Those of predictions."""

_OF_TRAININGS: Final = Conventions(InputRequest.unquoted, _check_trained, _write_trained)


def find_conventions(dialect: Dialect, mode: Mode) -> Conventions:
    """Return the habits of those who predict, or train, with the projects of a dialect."""
    return _OF_TRAININGS if mode == "train" else CONVENTIONS[dialect]
