"""An input arrives as it was given, in a form or in JSON."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from servekit_cli.container.uploads import RequestBody
from servekit_cli.inputs import PredictionInput

FILE = {"type": "string", "format": "uri"}


def make_body(properties: Mapping[str, Any], values: Mapping[str, Any], uploads: Mapping[str, str]) -> RequestBody:
    raw = json.dumps(values, ensure_ascii=False).encode()
    return RequestBody(PredictionInput(raw, uploads), {"properties": properties})


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    path.write_bytes(b"pixels")
    return path


def test_without_files_it_is_json() -> None:
    with make_body({}, {"text": "größer\n"}, {}).open() as arguments:
        assert json.loads(arguments["content"]) == {"input": {"text": "größer\n"}}


def test_a_context_is_json_with_its_files_inside(photo: Path) -> None:
    fitted = PredictionInput(b'{"image": "upload:x/photo.png"}', {"upload:x/photo.png": str(photo)})

    with RequestBody(fitted, {"properties": {"image": FILE}}, {"token": "t"}).open() as arguments:
        body = json.loads(arguments["content"])

    assert body == {"input": {"image": "data:image/png;base64,cGl4ZWxz"}, "context": {"token": "t"}}


def test_files_are_parts_with_their_names_and_types(photo: Path) -> None:
    properties = {"image": FILE, "scale": {"type": "number"}, "note": {"type": "string"}}
    values = {"image": "upload:x/photo.png", "scale": 2, "note": "2"}

    with make_body(properties, values, {"upload:x/photo.png": str(photo)}).open() as arguments:
        parts = dict(arguments["files"])
        name, file, kind = parts["image"]
        content = file.read()

    assert (name, content, kind) == ("photo.png", b"pixels", "image/png")
    assert file.closed
    assert (parts["scale"], parts["note"]) == ((None, "2"), (None, "2"))


def test_files_in_a_list_keep_their_order(photo: Path) -> None:
    properties = {"images": {"type": "array", "items": FILE}}
    values = {"images": ["https://example.com/a", "upload:x/photo.png"]}

    with make_body(properties, values, {"upload:x/photo.png": str(photo)}).open() as arguments:
        [first, second] = [part for _, part in arguments["files"]]

    assert first == (None, "https://example.com/a")
    assert second[0] == "photo.png"


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"anyOf": [{"type": "integer"}, {"type": "string"}]}, 5),  # would arrive as the text "5"
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, None),  # would arrive as the text "null"
        ({}, "5"),  # would arrive as a number
    ],
)
def test_what_a_form_would_change_travels_as_json(photo: Path, schema: Mapping[str, Any], value: Any) -> None:
    values = {"image": 'upload:x/"ü".png', "value": value}

    with make_body({"image": FILE, "value": schema}, values, {'upload:x/"ü".png': str(photo)}).open() as arguments:
        sent = json.loads(arguments["content"])["input"]

    assert sent == {"image": "data:image/png;base64,cGl4ZWxz", "value": value}


def test_a_file_deep_in_a_value_travels_as_json(photo: Path) -> None:
    values = {"pages": [{"image": "upload:x/photo.png"}]}

    with make_body({"pages": {"type": "array"}}, values, {"upload:x/photo.png": str(photo)}).open() as arguments:
        sent = json.loads(arguments["content"])["input"]

    assert sent["pages"][0]["image"].startswith("data:")


def test_its_size_is_known_before_it_is_sent(tmp_path: Path) -> None:
    large = tmp_path / "large.bin"
    large.write_bytes(bytes(3_000_000))
    body = make_body({}, {"value": {"file": "upload:x/large.bin"}}, {"upload:x/large.bin": str(large)})

    with body.open() as arguments:
        assert len(arguments["content"]) <= body.max_bytes
