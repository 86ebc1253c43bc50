"""Form fields, turned into inputs."""

import json
from typing import Any

import pytest

from servekit.server.fields import Field, compose_input

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "text": {"type": "string"},
        "count": {"type": "integer"},
        "flag": {"type": "boolean"},
        "maybe": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        "either": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
        "color": {"$ref": "#/$defs/Color"},
        "words": {"type": "array", "items": {"type": "string"}},
        "numbers": {"anyOf": [{"type": "array", "items": {"type": "number"}}, {"type": "null"}]},
        "options": {"type": "object"},
        "size": {"enum": [1, 2]},
    },
    "$defs": {"Color": {"enum": ["1", "2"]}},
}


def compose(*parts: tuple[str, str]) -> Any:
    return json.loads(compose_input([Field(name, text, is_file=False) for name, text in parts], SCHEMA))


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("text", "3", "3"),
        ("text", "", ""),
        ("count", "3", 3),
        ("count", "three", "three"),
        ("flag", "true", True),
        ("maybe", "null", None),
        ("maybe", "4", 4),
        ("either", "4", "4"),
        ("color", "1", "1"),
        ("size", "2", 2),
        ("options", '{"a": [1]}', {"a": [1]}),
        ("words", "one", ["one"]),
        ("words", '["one", "two"]', ["one", "two"]),
        ("numbers", "[1, 2.5]", [1, 2.5]),
        ("numbers", "3", [3]),
        ("numbers", "null", None),
        ("unknown", "7", 7),
        ("unknown", "text", "text"),
    ],
)
def test_a_field_is_read_as_its_schema_says(name: str, text: str, expected: object) -> None:
    assert compose((name, text)) == {name: expected}


def test_fields_of_one_name_make_a_list() -> None:
    assert compose(("words", "1"), ("numbers", "1"), ("words", "2"), ("numbers", "2")) == {
        "words": ["1", "2"],
        "numbers": [1, 2],
    }


def test_a_file_is_its_token_whatever_the_schema_says() -> None:
    field = Field("count", "upload:ab/3", is_file=True)

    assert json.loads(compose_input([field], SCHEMA)) == {"count": "upload:ab/3"}


def test_a_schema_that_refers_to_itself_ends() -> None:
    schema: dict[str, Any] = {
        "properties": {"tree": {"$ref": "#/$defs/Tree"}},
        "$defs": {"Tree": {"anyOf": [{"$ref": "#/$defs/Tree"}, {"type": "integer"}]}},
    }

    assert json.loads(compose_input([Field("tree", "5", is_file=False)], schema)) == {"tree": 5}
