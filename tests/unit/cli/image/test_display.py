import io
from typing import Any

import pytest

from servekit_cli.image.description import Package
from servekit_cli.image.display import describe_type, show_inspection
from servekit_cli.image.inspection import Inspection
from servekit_cli.image.labels import LabelFacts


def make_inspection(schema: dict[str, Any], **facts: Any) -> Inspection:
    values: dict[str, Any] = {
        "title": "my-model",
        "version": None,
        "revision": "abc",
        "source": None,
        "created": "2026-01-01T00:00:00Z",
        "servekit": "0.1.0",
        "python": "3.12.1",
        "spec": {"predictor": "predict.py:Predictor", "build": {"cuda": None}},
        "schema": schema,
        "packages": (Package("numpy", "2.5"),),
        "wants_gpu": False,
    }
    return Inspection(
        name="my-model",
        id="sha256:1",
        tags=("my-model:latest", "my-model:v1"),
        platform="linux/amd64",
        size=165_000_000,
        created="2026-02-02T00:00:00Z",
        facts=LabelFacts(**{**values, **facts}),
    )


def show(schema: dict[str, Any], **facts: Any) -> list[str]:
    stream = io.StringIO()
    show_inspection(make_inspection(schema, **facts), stream)
    return stream.getvalue().splitlines()


def test_what_is_known_is_shown_and_the_rest_left_out() -> None:
    lines = show({})

    assert lines[:5] == [
        "my-model",
        "  image      my-model:latest, my-model:v1",
        "  id         sha256:1",
        "  size       165 MB, linux/amd64",
        "  revision   abc",
    ]
    assert "  created    2026-01-01T00:00:00Z" in lines
    assert not any(line.startswith(("  version", "  source", "  gpu")) for line in lines)


def test_a_gpu_is_shown_with_the_cuda_of_the_image() -> None:
    lines = show({}, wants_gpu=True, spec={"build": {"cuda": "12.6"}})

    assert "  gpu       needed, with CUDA 12.6 in the image" in lines


def test_inputs_are_shown_with_type_default_and_description() -> None:
    properties = {
        "prompt": {"type": "string", "description": "What to say."},
        "n": {"type": "integer", "default": 3},
        "seed": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
    }

    lines = show({"input": {"properties": properties, "required": ["prompt"]}})

    at = lines.index("Input")
    assert lines[at + 1 : at + 4] == [
        "  prompt  string   What to say.",
        "  n       integer = 3",
        "  seed    integer or null, optional",
    ]


def test_a_long_description_stays_on_one_line_where_no_terminal_is() -> None:
    lines = show({"input": {"properties": {"n": {"type": "integer", "description": "word " * 100}}}})

    assert any(line.endswith("word " * 99 + "word") for line in lines)


def test_a_predictor_without_inputs_says_so() -> None:
    lines = show({"input": {"properties": {}}})

    assert lines[lines.index("Input") + 1] == "  none"


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"output": {"type": "string"}}, "  string"),
        ({"output": {"type": "array", "items": {"type": "integer"}}, "streams": True}, "  stream of integer"),
        (
            {"output": {"type": "array", "items": {"type": "string"}}, "streams": True, "concatenates": True},
            "  text, in pieces",
        ),
    ],
)
def test_the_output_is_shown(schema: dict[str, Any], expected: str) -> None:
    lines = show(schema)

    assert lines[lines.index("Output") + 1] == expected


def test_packages_are_counted_and_listed() -> None:
    lines = show({})

    assert lines[lines.index("Packages (1)") + 1] == "  numpy  2.5"


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "string", "format": "uri"}, "file"),
        ({"type": "string", "format": "password"}, "secret"),
        ({"enum": ["a", "b"], "type": "string"}, '"a" or "b"'),
        ({"type": "array", "items": {"type": "string", "format": "uri"}}, "list of file"),
        ({"anyOf": [{"type": "null"}, {"type": "string"}]}, "string or null"),
        ({"$ref": "#/$defs/Colour"}, '"red" or "blue"'),
        ({"allOf": [{"$ref": "#/$defs/Colour"}], "default": "red"}, '"red" or "blue"'),
        ({"anyOf": [{"type": "null"}, {"$ref": "#/$defs/Colour"}]}, '"red" or "blue" or null'),
        ({"type": ["null", "integer"]}, "integer or null"),
        ({"const": 1}, "1"),
        ({}, "any"),
    ],
)
def test_a_type_is_named_as_short_as_it_can_be(schema: dict[str, Any], expected: str) -> None:
    root = {"$defs": {"Colour": {"enum": ["red", "blue"], "type": "string"}}}

    assert describe_type(schema, root) == expected
