"""Values for the settings that an author declares: from the file, a variable and flags.

Their names and types are those of a class in the predictor's code, which is read in the worker alone. So
here they are only made sure to be what JSON can say.
"""

import json
import math
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final

from pydantic import PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from servekit.errors import UsageError

__all__ = ["SETTINGS_VARIABLE", "SET_FLAG", "SettingValues", "read_settings"]

SETTINGS_VARIABLE: Final = "SERVEKIT_SETTINGS"
"""A JSON object of settings by name; it wins over those of the file."""


SET_FLAG: Final = "set"
"""The key under which `read_settings` takes what `--set` was given, a list of `name=value`."""


def read_settings(environ: Mapping[str, str], flags: Mapping[str, object]) -> dict[str, Any]:
    """Return what the variable and the flag set, by name; the flag wins.

    Raises:
        UsageError: The variable holds no JSON object, or a flag is no `name=value`.
    """
    pairs: Any = flags.get(SET_FLAG) or ()
    return {**_read_variable(environ.get(SETTINGS_VARIABLE)), **_read_pairs(pairs)}


def _read_variable(text: str | None) -> dict[str, Any]:
    if not text:  # an empty variable counts as not set
        return {}
    try:
        value = _parse(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{SETTINGS_VARIABLE} is not JSON: {error}.\n{_AS_OBJECT}") from None
    if not isinstance(value, dict):
        raise UsageError(f"{SETTINGS_VARIABLE} holds no JSON object.\n{_AS_OBJECT}")
    return {str(name): each for name, each in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] - JSON


def _read_pairs(pairs: Iterable[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        name = name.strip()
        if not equals or not name:
            raise UsageError(f'--set wants name=value, and got "{pair}".\nWrite for example --set temperature=0.2.')
        try:
            values[name] = _parse(text)
        except (ValueError, RecursionError):
            values[name] = text
    return values


def _parse(text: str) -> Any:
    return json.loads(text, parse_constant=_refuse_constant)


_AS_OBJECT: Final = 'Write it as {"name": value, ...}.'


def _refuse_constant(name: str) -> None:
    message = f"{name} is a number for Python, and none in JSON"
    raise ValueError(message)


def _check(value: Any) -> dict[str, Any]:
    if value is None:  # YAML reads a key whose lines are all commented out as null
        return {}
    if not isinstance(value, Mapping):
        raise _misfit("it must be a section of `name: value` lines", "Write each setting on its own, indented line.")
    return {name: _check_one(each, name) for name, each in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] - YAML


def _check_one(value: Any, name: str) -> Any:
    """Return a value of YAML as JSON has it: lists for tuples."""
    if isinstance(value, Mapping):
        return {key: _check_one(each, name) for key, each in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] - YAML
    if isinstance(value, tuple | list):
        return [_check_one(each, name) for each in value]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] - YAML
    if value is None or isinstance(value, str | bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    raise _misfit(f"{name} is a {type(value).__name__}, which JSON cannot say", "Put it into quotes.")


def _misfit(expected: str, remedy: str) -> PydanticCustomError:
    return PydanticCustomError("servekit_settings", "{expected}", {"expected": expected, "remedy": remedy})


SettingValues = Annotated[
    dict[str, Any], PlainValidator(_check), WithJsonSchema({"type": "object", "additionalProperties": True})
]
"""Settings by name, as JSON has them."""
