"""JSON Schema, as predictors have it, in the dialect of OpenAPI 3.0, which many clients still read.

There null is no type but `nullable`, and nothing stands beside a `$ref`. Definitions are put where
they are used; one that holds itself is an object there. Keys stand in the order of the alphabet.
"""

from collections.abc import Mapping
from typing import Any, Final, cast

__all__ = ["to_openapi30"]

_Json = dict[str, Any]

_DROPPED: Final = frozenset({"$defs", "$schema", "discriminator", "patternProperties", "propertyNames"})
_OWN_PREFIX: Final = "x-servekit-"
_DEFINITIONS: Final = "#/$defs/"
_WITH_SCHEMAS: Final = frozenset({"anyOf", "oneOf", "allOf"})
_WITH_SCHEMA: Final = frozenset({"items", "additionalProperties", "not"})
_SAYS_WHAT: Final = frozenset({"type", "anyOf", "oneOf", "allOf", "enum", "$ref"})


def to_openapi30(schema: _Json, definitions: Mapping[str, Any] | None = None) -> _Json:
    """Return a schema as OpenAPI 3.0 has it; what may be anything is said to be an object.

    Args:
        schema: A JSON Schema (2020-12). References that lead out of it stay as they are.
        definitions: What its references into `$defs` lead to; its own by default.
    """
    return _translate(schema, schema.get("$defs", {}) if definitions is None else definitions, ())


def _translate(schema: _Json, definitions: Mapping[str, Any], around: tuple[str, ...]) -> _Json:
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference.startswith(_DEFINITIONS):
        name = reference.removeprefix(_DEFINITIONS)
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        if name in around:
            return {"type": "object"}
        return _translate({**definitions[name], **beside}, definitions, (*around, name))
    translated: _Json = {}
    for key, value in schema.items():
        if key not in _DROPPED and not key.startswith(_OWN_PREFIX):
            translated |= _translate_keyword(key, value, definitions, around)
    _say_null_the_old_way(translated)
    if not _SAYS_WHAT & translated.keys():
        translated["type"] = "object"
    return _sorted(translated)


def _translate_keyword(key: str, value: Any, definitions: Mapping[str, Any], around: tuple[str, ...]) -> _Json:
    def translate(each: _Json) -> _Json:
        return _translate(each, definitions, around)

    if key == "properties":
        return {key: {name: translate(each) for name, each in value.items()}}
    if key == "prefixItems":
        return {"items": {"anyOf": [translate(each) for each in value]}}
    if key in _WITH_SCHEMAS:
        return {key: [translate(each) for each in value]}
    if key in _WITH_SCHEMA and isinstance(value, dict):
        return {key: translate(cast("_Json", value))}
    return _translate_plain(key, value)


def _translate_plain(key: str, value: Any) -> _Json:
    """Translate a keyword that holds no schema."""
    match key:
        case "items" | "additionalProperties":
            # That nothing follows the items of a tuple is said by `maxItems`; that anything may follow says nothing.
            return {key: False} if key == "additionalProperties" and value is False else {}
        case "type" if isinstance(value, list):
            return {"anyOf": [{"type": kind} for kind in value]}  # pyright: ignore[reportUnknownVariableType] - any JSON
        case "const":
            return {"enum": [value]}
        case "exclusiveMinimum" | "exclusiveMaximum":
            return {key.removeprefix("exclusive").lower(): value, key: True}
        case "examples":
            return {"example": value[0]} if value else {}
        case _:
            return {key: value}


def _say_null_the_old_way(schema: _Json) -> None:
    """Turn the type null among other schemas into `nullable`."""
    branches = schema.get("anyOf", ())
    others = [branch for branch in branches if branch.get("type") != "null"]
    if len(others) == len(branches) or not others:
        return
    if len(others) == 1:
        del schema["anyOf"]
        schema.update({**others[0], **schema})
    else:
        schema["anyOf"] = [_sorted({**branch, "nullable": True}) for branch in others]
    schema["nullable"] = True


def _sorted(schema: _Json) -> _Json:
    return dict(sorted(schema.items()))
