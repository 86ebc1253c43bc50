"""What a request overrides: `{"context": {"settings": {"temperature": 0.2}}}`.

The server checks it against the JSON Schema that the worker sends with `Loaded`, so that a bad one takes no
slot; the worker decodes it into the declared types. Both say what is wrong in the form of a wrong input.
Where no settings are declared, `settings` is a key of the context like any other.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from servekit.configuration.process import PROCESS

__all__ = ["FIXED", "SETTINGS_KEY", "overrides_schema", "read_overrides", "relocate", "write_overrides"]

SETTINGS_KEY: Final = "settings"
"""Where overrides stand in the context of a request."""

FIXED: Final = "x-servekit-fixed"
"""The key of the schema that names the settings which no request may override."""


def overrides_schema() -> dict[str, Any] | None:
    """Return the JSON Schema of what requests may override; None where no settings are declared."""
    return None if PROCESS.declaration is None else PROCESS.declaration.overridable.schema


def read_overrides(context: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a request overrides, as values of the declared types; nothing where no settings are declared.

    Raises:
        InputError: It does not fit; the problems are at `context.settings`.
    """
    given = context.get(SETTINGS_KEY)
    declaration = PROCESS.declaration
    return {} if given is None or declaration is None else declaration.read_overrides(given)


def write_overrides(context: Mapping[str, Any]) -> str:
    """Return what a request overrides as a text that is the same for the same overrides."""
    return json.dumps(context.get(SETTINGS_KEY), sort_keys=True)


def relocate(problems: Sequence[dict[str, Any]], fixed: Collection[str]) -> list[dict[str, Any]]:
    """Return the problems of an input as those of the overrides in a request's context.

    Args:
        problems: Their places begin at "input".
        fixed: The settings that may not be overridden.
    """
    return [_relocate_one(each, fixed) for each in problems]


def _relocate_one(problem: dict[str, Any], fixed: Collection[str]) -> dict[str, Any]:
    loc = ["context", SETTINGS_KEY, *problem["loc"][1:]]
    if problem["type"] == "unknown" and loc[-1] in fixed and len(loc) == len(("context", SETTINGS_KEY, "name")):
        return {"loc": loc, "msg": f'the setting "{loc[-1]}" cannot be overridden by a request', "type": "fixed"}
    return {**problem, "loc": loc}
