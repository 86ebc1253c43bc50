"""What an error means on the command line, where it was made for clients and authors of every kind."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from servekit.errors import InputError, SetupError
from servekit.problems import Problem
from servekit.runtime.failure import hint_at_package
from servekit_cli.inputs import InputRequest
from servekit_cli.schemas import Schema, accepted_kinds, resolve

__all__ = ["add_input_hints", "add_package_hint"]

_TRUTH_WORDS: Final = {"yes", "no", "on", "off", "1", "0", "y", "n", "true", "false"}


def add_package_hint(error: SetupError) -> SetupError:
    """Say where a package goes, if an error comes from one that is missing."""
    hint = hint_at_package(str(error))
    return error if hint is None else SetupError(f"{error}\n{hint}")


def add_input_hints(error: InputError, request: InputRequest, schema: Schema) -> InputError:
    """Say with each problem of an input how the command is to be written.

    Args:
        error: From the check of the input against the schema.
        request: What the command said.
        schema: The JSON Schema of the input.
    """
    return InputError([_add_hint(problem, request, schema) for problem in error.problems])


def _add_hint(problem: Problem, request: InputRequest, schema: Schema) -> Problem:
    hints = _find_hints(problem["loc"][1:], problem["type"], request, schema)
    return {**problem, "msg": problem["msg"] + "".join(f" ({hint})" for hint in hints)}


def _find_hints(path: list[Any], kind: str, request: InputRequest, schema: Schema) -> Iterator[str]:
    if len(path) != 1:
        return
    [name] = path
    kinds = accepted_kinds(_member(schema, name), schema)
    given = [text for each, text in request.pairs if each == name]
    if kind == "missing":
        yield f"give it as -i {name}={'@FILE' if 'file' in kinds else '...'}"
    if kind == "unknown" and name == "input" and isinstance(request.base.get(name), Mapping):
        yield 'leave the wrapper away: --json takes {"name": value, ...} itself'
    if "boolean" in kinds and any(text.lower() in _TRUTH_WORDS for text in given):
        yield "write true or false"


def _member(schema: Schema, name: Any) -> Schema:
    return resolve(schema.get("properties", {}).get(name, {}), schema)
