"""What a JSON Schema says about one value, as far as the command line wants to know it."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

__all__ = [
    "Schema",
    "accepted_kinds",
    "choices",
    "is_file",
    "is_secret",
    "item_schema",
    "kind_of",
    "property_schema",
    "resolve",
]

Schema = Mapping[str, Any]

_EVERYTHING: Final = frozenset({"any"})
_KIND_OF_VALUE: Final = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    type(None): "null",
    list: "array",
    dict: "object",
}


def resolve(schema: Schema, root: Schema) -> Schema:
    """Follow a reference to the definition that it names."""
    while "$ref" in schema:
        name = str(schema["$ref"]).rpartition("/")[2]
        schema = root.get("$defs", {}).get(name, {})
    return schema


def accepted_kinds(schema: Schema, root: Schema) -> frozenset[str]:
    """Name the JSON types that a schema accepts, and `file` for what is sent as a file; `any` for all of them."""
    kinds: set[str] = set()
    for branch in _branches(schema, root):
        if branch.get("type") == "string" and branch.get("format") == "uri":
            kinds.add("file")
        elif "type" in branch:
            types = branch["type"]
            kinds.update([types] if isinstance(types, str) else types)
        elif values := branch.get("enum", [branch["const"]] if "const" in branch else []):
            kinds.update(kind_of(value) for value in values)
        else:
            return _EVERYTHING
    return frozenset(kinds)


def kind_of(value: Any) -> str:
    """Name the JSON type of a value."""
    return _KIND_OF_VALUE[type(value)]


def choices(schema: Schema, root: Schema) -> list[Any]:
    """Give the values that a schema lists, without null; empty where it lists none."""
    listed: list[Any] = []
    for branch in _branches(schema, root):
        listed += branch.get("enum", [branch["const"]] if "const" in branch else [])
    return [value for value in listed if value is not None]


def is_file(schema: Schema, root: Schema) -> bool:
    """Whether a value is a file, sent as a URL."""
    return any(branch.get("type") == "string" and branch.get("format") == "uri" for branch in _branches(schema, root))


def is_secret(schema: Schema, root: Schema) -> bool:
    """Whether a value is a secret."""
    return any(branch.get("format") == "password" for branch in _branches(schema, root))


def item_schema(schema: Schema, root: Schema) -> Schema:
    """Give the schema of a list's items."""
    for branch in _branches(schema, root):
        if branch.get("type") == "array":
            return resolve(branch.get("items", {}), root)
    return {}


def property_schema(schema: Schema, root: Schema, name: str) -> Schema:
    """Give the schema of one member of an object."""
    for branch in _branches(schema, root):
        if name in branch.get("properties", {}):
            return resolve(branch["properties"][name], root)
        if isinstance(others := branch.get("additionalProperties"), Mapping):
            return resolve(others, root)  # pyright: ignore[reportUnknownArgumentType] # JSON
    return {}


def _branches(schema: Schema, root: Schema) -> Iterator[Schema]:
    schema = resolve(schema, root)
    for keyword in ("anyOf", "oneOf"):
        if keyword in schema:
            for branch in schema[keyword]:
                yield from _branches(branch, root)
            return
    if len(schema.get("allOf", ())) == 1:
        yield from _branches(schema["allOf"][0], root)
        return
    yield schema
