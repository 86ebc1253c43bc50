"""What is wrong with an input, in one form, whoever found it; and secrets kept out of it.

The check against the JSON Schema (`servekit.schema`) and the decoding into types
(`servekit.signature`) both build their `InputError` here, so that clients see one form.
"""

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, Literal, TypeAlias

import msgspec

from servekit.errors import InputError
from servekit.types import MASK

__all__ = [
    "MAX_PROBLEMS",
    "MISSING",
    "JsonValue",
    "Kind",
    "Problem",
    "Redactor",
    "expected",
    "invalid_json",
    "missing",
    "problem",
    "schema_has",
    "show",
    "show_limit",
    "too_deep",
    "unknown",
]

MISSING: Final = "missing, and it has no default"
"""What the message of a required value that was not given begins with."""

MAX_PROBLEMS: Final = 50
"""A list of a million wrong items gets this many problems; a person reads the first few."""

Problem: TypeAlias = dict[str, Any]
JsonValue: TypeAlias = dict[str, Any] | list[Any] | str | int | float | bool | None
Kind: TypeAlias = Literal[
    "missing", "unknown", "fixed", "type", "range", "length", "pattern", "choice", "value", "file", "json"
]

_SHOWN_VALUE: Final = 200
_SHOWN_IN_TEXT: Final = 80
_MAX_DEPTH: Final = 200
"""Levels that a document is looked into; pydantic's JSON parser stops there as well."""


def problem(loc: Iterable[str | int], kind: Kind, msg: str, *value: Any) -> Problem:
    """Return one problem; `value`, when there is one, is what was given."""
    entry: Problem = {"loc": ["input", *loc], "msg": msg, "type": kind}
    if value:
        entry["value"] = _shorten(value[0])
    return entry


def expected(loc: Iterable[str | int], kind: Kind, what: str, value: Any) -> Problem:
    """Return the problem of a value that is not what was expected."""
    return problem(loc, kind, f"expected {what}, got {show(value)}", value)


def missing(loc: Iterable[str | int]) -> Problem:
    """Return the problem of a required value that was not given."""
    return problem(loc, "missing", MISSING)


def unknown(loc: Sequence[str | int], known: Sequence[str], value: Any) -> Problem:
    """Return the problem of a name that nothing has; the nearest known one is proposed."""
    near = difflib.get_close_matches(str(loc[-1]), known, n=1, cutoff=0.5)
    if near:
        hint = f'did you mean "{near[0]}"?'
    elif known:
        hint = "known are " + ", ".join(f'"{name}"' for name in known[:20])
    else:
        hint = "none is taken here"
    return problem(loc, "unknown", f"unknown name; {hint}", value)


def invalid_json(reason: str) -> InputError:
    """Return the error for an input that is not JSON."""
    return InputError([problem((), "json", f"not valid JSON: {reason}")])


def too_deep() -> InputError:
    """Return the error for a document nested so deeply that nothing should look into it."""
    return InputError([problem((), "json", f"nested too deeply; at most {_MAX_DEPTH} levels are taken")])


def show(value: Any) -> str:
    """Return a JSON value as text for a message, shortened."""
    return _cut(_as_json(value), _SHOWN_IN_TEXT)


def show_limit(limit: object) -> str:
    """Return a limit as its author wrote it, `1` where a check turned it into `1.0`."""
    return str(int(limit)) if isinstance(limit, float) and limit.is_integer() else str(limit)


def schema_has(schema: JsonValue, formats: frozenset[str]) -> bool:
    """Whether a JSON Schema has a string of one of these formats anywhere."""
    if isinstance(schema, dict):
        return schema.get("format") in formats or any(schema_has(part, formats) for part in schema.values())
    return isinstance(schema, list) and any(schema_has(part, formats) for part in schema)


class Redactor:
    """Puts asterisks where a JSON Schema says that a document has a secret.

    Args:
        schema: The schema of the document, with its `$defs` at the top.
    """

    def __init__(self, schema: dict[str, Any]) -> None:
        self._schema = schema
        self._definitions: dict[str, Any] = schema.get("$defs", {})
        self._leading: dict[int, bool] = {}
        self.has_secrets = self._leads_to_secret(schema)

    def redact(self, document: JsonValue) -> JsonValue:
        """Return the document without its secrets; the argument itself where there are none.

        In an input with secrets more is hidden than these: names that the schema does not have, text
        where something with a secret in it belongs, and whatever lies too deep to be looked at. Each
        may be a secret that was put in the wrong place.
        """
        return self._mask(document, [self._schema], 0) if self.has_secrets else document

    def _mask(self, value: JsonValue, schemas: list[JsonValue], depth: int) -> JsonValue:
        if value is None:
            return None
        here = self._flatten(schemas)
        if depth > _MAX_DEPTH or any(_is_secret(schema) for schema in here):
            return MASK
        if isinstance(value, str) and any(self._leads_to_secret(schema) for schema in here):
            return MASK
        if isinstance(value, dict):
            return {key: self._mask(item, _schemas_of_key(here, key), depth + 1) for key, item in value.items()}
        if isinstance(value, list):
            return [self._mask(item, _schemas_of_item(here, i), depth + 1) for i, item in enumerate(value)]
        return value

    def _leads_to_secret(self, schema: dict[str, Any]) -> bool:
        """Whether a secret may be anywhere in what a schema describes."""
        if id(schema) not in self._leading:
            self._leading[id(schema)] = any(map(_is_secret, self._walk(schema)))
        return self._leading[id(schema)]

    def _walk(self, start: dict[str, Any]) -> Iterator[dict[str, Any]]:
        seen: set[int] = set()
        waiting = [start]
        while waiting:
            schema = waiting.pop()
            if id(schema) not in seen:
                seen.add(id(schema))
                yield schema
                waiting.extend(self._parts(schema))

    def _parts(self, node: JsonValue) -> Iterator[dict[str, Any]]:
        """Give the schemas just below one, those it refers to included."""
        if isinstance(node, dict):
            if isinstance(node.get("$ref"), str):
                yield self._definitions.get(node["$ref"].rpartition("/")[2], {})
            for name, part in node.items():
                if name != "$defs":
                    yield from (part,) if isinstance(part, dict) else self._parts(part)
        elif isinstance(node, list):
            for part in node:
                yield from (part,) if isinstance(part, dict) else self._parts(part)

    def _flatten(self, schemas: list[JsonValue]) -> list[dict[str, Any]]:
        """Return all schemas that may describe a value: references followed, unions opened, each once.

        Each value is looked at once with all of them. To go through a union's branches one by one
        would take time exponential in the depth of a recursive type.
        """
        flat: dict[int, dict[str, Any]] = {}
        waiting = list(schemas)
        while waiting:
            schema = waiting.pop()
            if not isinstance(schema, dict) or id(schema) in flat:
                continue
            flat[id(schema)] = schema
            if "$ref" in schema:
                waiting.append(self._definitions.get(schema["$ref"].rpartition("/")[2], {}))
            for keyword in ("anyOf", "oneOf", "allOf"):
                waiting.extend(schema.get(keyword, ()))
        return list(flat.values())


def _schemas_of_key(schemas: list[dict[str, Any]], key: str) -> list[JsonValue]:
    found: list[JsonValue] = []
    for schema in schemas:
        if key in schema.get("properties", {}):
            found.append(schema["properties"][key])
        elif isinstance(schema.get("additionalProperties"), dict):
            found.append(schema["additionalProperties"])
        found.extend(part for pattern, part in schema.get("patternProperties", {}).items() if re.search(pattern, key))
    if not found and any("properties" in schema for schema in schemas):
        return [_HIDDEN]
    return found


def _schemas_of_item(schemas: list[dict[str, Any]], index: int) -> list[JsonValue]:
    found: list[JsonValue] = []
    for schema in schemas:
        prefix = schema.get("prefixItems", ())
        found.append(prefix[index] if index < len(prefix) else schema.get("items"))
    return found


_HIDDEN: Final[dict[str, Any]] = {"type": "string", "format": "password", "writeOnly": True}


def _is_secret(schema: dict[str, Any]) -> bool:
    """Whether a schema is that of a `Secret`, or of pydantic's `SecretStr`."""
    return "x-servekit-secret" in schema or (schema.get("format") == "password" and schema.get("writeOnly") is True)


def _shorten(value: Any) -> Any:
    """Return the value itself when it is short, else the beginning of its text."""
    text = value if isinstance(value, str) else _as_json(value)
    return value if len(text) <= _SHOWN_VALUE else _cut(text, _SHOWN_VALUE)


def _as_json(value: Any) -> str:
    try:
        return msgspec.json.encode(value).decode()
    except RecursionError:
        return "a deeply nested value"


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[:length]}... ({len(text)} characters)"
