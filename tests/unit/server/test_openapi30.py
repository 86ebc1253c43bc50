"""JSON Schema in the dialect of OpenAPI 3.0."""

from typing import Any

import pytest

from servekit.server.openapi30 import to_openapi30

TEXT, NUMBER, NULL = {"type": "string"}, {"type": "number"}, {"type": "null"}

CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "null beside one type": ({"anyOf": [TEXT, NULL]}, {"nullable": True, **TEXT}),
    "null in a list of types": ({"type": ["string", "null"]}, {"nullable": True, **TEXT}),
    "a list of types": ({"type": ["string", "number"]}, {"anyOf": [TEXT, NUMBER]}),
    "null beside several types": (
        {"anyOf": [TEXT, NUMBER, NULL]},
        {"anyOf": [{"nullable": True, **TEXT}, {"nullable": True, **NUMBER}], "nullable": True},
    ),
    "anything": ({}, {"type": "object"}),
    "anything with a title": ({"title": "A"}, {"title": "A", "type": "object"}),
    "a constant": ({"const": "a", **TEXT}, {"enum": ["a"], **TEXT}),
    "an open limit": ({"exclusiveMinimum": 0, **NUMBER}, {"exclusiveMinimum": True, "minimum": 0, **NUMBER}),
    "examples": ({"examples": ["a", "b"], **TEXT}, {"example": "a", **TEXT}),
    "no examples": ({"examples": [], **TEXT}, TEXT),
    "a tuple": (
        {"type": "array", "prefixItems": [TEXT, NUMBER], "items": False, "maxItems": 2},
        {"items": {"anyOf": [TEXT, NUMBER]}, "maxItems": 2, "type": "array"},
    ),
    "a dict of anything": ({"type": "object", "additionalProperties": True}, {"type": "object"}),
    "a dict of text": (
        {"type": "object", "additionalProperties": TEXT},
        {"additionalProperties": TEXT, "type": "object"},
    ),
    "an object and no more": (
        {"type": "object", "additionalProperties": False},
        {"additionalProperties": False, "type": "object"},
    ),
    "a definition": (
        {"$ref": "#/$defs/A", "title": "B", "$defs": {"A": {"title": "A", **TEXT}}},
        {"title": "B", **TEXT},
    ),
    "a definition within itself": (
        {"$ref": "#/$defs/A", "$defs": {"A": {"type": "array", "items": {"$ref": "#/$defs/A"}}}},
        {"items": {"type": "object"}, "type": "array"},
    ),
    "a reference that leads out": ({"$ref": "#/components/schemas/A"}, {"$ref": "#/components/schemas/A"}),
    "inputs called like keywords": (
        {"properties": {"$ref": TEXT, "anyOf": NUMBER, "const": TEXT}, "type": "object"},
        {"properties": {"$ref": TEXT, "anyOf": NUMBER, "const": TEXT}, "type": "object"},
    ),
    "servekit's own keys": ({"x-servekit-secret": True, "x-order": 1, **TEXT}, {**TEXT, "x-order": 1}),
}


@pytest.mark.parametrize(("schema", "translated"), CASES.values(), ids=CASES)
def test_a_schema_is_translated(schema: dict[str, Any], translated: dict[str, Any]) -> None:
    assert to_openapi30(schema) == translated


def test_keys_stand_in_the_order_of_the_alphabet_and_properties_in_their_own() -> None:
    translated = to_openapi30({"type": "object", "title": "A", "properties": {"b": {"type": "string"}, "a": TEXT}})

    assert list(translated) == ["properties", "title", "type"]
    assert list(translated["properties"]) == ["b", "a"]
