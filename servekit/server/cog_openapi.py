"""The OpenAPI document of a Cog project: what clients of Cog read in it stands where Cog has it.

It is the server's own document in the dialect of OpenAPI 3.0. The schemas `Input` and `Output` have the
form that Cog's have: choices are schemas of their own with the name of their input, `nullable` says that
null is taken, and `x-cog-*` keys say the rest. Where trainings are served they are called
`TrainingInput` and `TrainingOutput`.
"""

from dataclasses import replace
from typing import Any, Final

from servekit.compat.reading import REQUIRED_IN_COG
from servekit.runtime.model import Model
from servekit.server.openapi import make_openapi
from servekit.server.openapi30 import to_openapi30
from servekit.server.resource import PREDICTIONS, Resource

__all__ = ["STREAMING", "make_cog_openapi"]

_Json = dict[str, Any]

STREAMING: Final = "x-cog-streaming"
"""What the schema of an output has whose author lets clients have it streamed."""

_ENUMERATION: Final = frozenset({"enum", "type", "title"})
"""What an enumeration says of itself, and the input that has it does not."""


def make_cog_openapi(title: str, model: Model, resource: Resource = PREDICTIONS) -> _Json:
    """Return the OpenAPI 3.0 document of a served Cog predictor; see `make_openapi`."""
    input_name, output_name = f"{resource.prefix}Input", f"{resource.prefix}Output"
    document = make_openapi(title, replace(model, input_schema={}, output_schema={}), resource, takes_batches=False)
    schemas: _Json = {name: to_openapi30(each) for name, each in document["components"]["schemas"].items()}
    output = {key: value for key, value in model.output_schema.items() if key != STREAMING}
    schemas |= {input_name: {}, output_name: to_openapi30(output)}
    schemas[input_name] = _make_input(input_name, model.input_schema, schemas)
    paths: _Json = _translate_schemas(document["paths"])
    if STREAMING in model.output_schema and resource.is_streamed:
        paths[resource.path]["post"][STREAMING] = True
    return {**document, "openapi": "3.0.2", "paths": paths, "components": {"schemas": schemas}}


def _make_input(title: str, schema: _Json, schemas: _Json) -> _Json:
    """Return the schema of the input, and put the enumerations of its choices into `schemas`."""
    definitions = schema.get("$defs", {})
    properties = {
        name: _make_property(name, each, definitions, schemas) for name, each in schema.get("properties", {}).items()
    }
    made: _Json = {"properties": properties, "title": title, "type": "object"}
    required = [name for name, each in schema.get("properties", {}).items() if _is_required(name, each, schema)]
    return made | {"required": required} if required else made


def _is_required(name: str, property_: _Json, schema: _Json) -> bool:
    return name in schema.get("required", ()) or REQUIRED_IN_COG in property_


def _make_property(name: str, schema: _Json, definitions: _Json, schemas: _Json) -> _Json:
    translated = to_openapi30(_without_none(schema) if REQUIRED_IN_COG in schema else schema, definitions)
    if "enum" not in translated:
        return translated
    enumeration = name if name not in schemas else f"{name}_choices"  # an input may be called Output
    schemas[enumeration] = {
        "description": "An enumeration.",
        "enum": translated["enum"],
        "title": enumeration,
        "type": translated.get("type", "string"),
    }
    rest = {key: value for key, value in translated.items() if key not in _ENUMERATION}
    return {"allOf": [{"$ref": f"#/components/schemas/{enumeration}"}], **rest}


def _without_none(schema: _Json) -> _Json:
    """Describe an input as if None were none of its values."""
    rest = {key: value for key, value in schema.items() if key not in ("anyOf", "default", REQUIRED_IN_COG)}
    members = [member for member in schema.get("anyOf", ()) if member != {"type": "null"}]
    return {**members[0], **rest} if len(members) == 1 else rest | ({"anyOf": members} if members else {})


def _translate_schemas(node: Any) -> Any:
    """Translate the schemas in the paths of a document."""
    if isinstance(node, list):
        return [_translate_schemas(each) for each in node]  # pyright: ignore[reportUnknownVariableType] - any JSON
    if not isinstance(node, dict):
        return node
    found: _Json = node  # pyright: ignore[reportUnknownVariableType] - any JSON
    return {key: to_openapi30(each) if key == "schema" else _translate_schemas(each) for key, each in found.items()}
