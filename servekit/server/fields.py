"""The fields of a form, turned into an input object with the help of the input's schema.

A form knows only text. Where the schema wants text, the field is taken as it is; elsewhere it is read
as JSON, so that `3`, `true` and `{"a": 1}` mean what they look like.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import msgspec

__all__ = ["Field", "compose_input"]


@dataclass(frozen=True)
class Field:
    """One part of a form.

    Attributes:
        name: Which input it is for.
        text: What it says; for a file its token.
        is_file: Whether a file was sent.
    """

    name: str
    text: str
    is_file: bool


def compose_input(fields: Sequence[Field], schema: dict[str, Any]) -> bytes:
    """Return the fields as an input object, in JSON. Fields of one name make a list."""
    grouped: dict[str, list[Field]] = {}
    for each in fields:
        grouped.setdefault(each.name, []).append(each)
    return msgspec.json.encode({name: _compose(group, schema, name) for name, group in grouped.items()})


def _compose(group: list[Field], schema: dict[str, Any], name: str) -> Any:
    shape = schema.get("properties", {}).get(name, {})
    items = next((each["items"] for each in _alternatives(shape, schema) if "items" in each), None)
    if items is None:
        values = [_read(each, shape, schema) for each in group]
        return values[0] if len(values) == 1 else values
    if len(group) == 1 and not group[0].is_file:
        whole: Any = _parse(group[0].text)
        if isinstance(whole, list) or (whole is None and _allows(shape, schema, "null")):
            return cast("Any", whole)
    return [_read(each, items, schema) for each in group]


def _read(field: Field, shape: dict[str, Any], schema: dict[str, Any]) -> Any:
    if field.is_file or _allows(shape, schema, "string"):
        return field.text
    value = _parse(field.text)
    return field.text if value is _NOT_JSON else value


_NOT_JSON = object()


def _parse(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return _NOT_JSON  # the check against the schema says what was expected instead


def _allows(shape: dict[str, Any], schema: dict[str, Any], kind: str) -> bool:
    for each in _alternatives(shape, schema):
        kinds = each.get("type", [])
        if kind in ([kinds] if isinstance(kinds, str) else kinds):
            return True
        if kind == "string" and any(isinstance(choice, str) for choice in each.get("enum", [each.get("const")])):
            return True
    return False


def _alternatives(shape: dict[str, Any], schema: dict[str, Any], depth: int = 0) -> Iterator[dict[str, Any]]:
    """Give a schema and all that it stands for: what it refers to, and the branches of its unions."""
    if depth > _MAX_DEPTH:
        return
    yield shape
    if "$ref" in shape:
        target = schema.get("$defs", {}).get(shape["$ref"].rpartition("/")[2], {})
        yield from _alternatives(target, schema, depth + 1)
    for keyword in ("anyOf", "oneOf", "allOf"):
        for branch in shape.get(keyword, ()):
            yield from _alternatives(branch, schema, depth + 1)


_MAX_DEPTH = 10
