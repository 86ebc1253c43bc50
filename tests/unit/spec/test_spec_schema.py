import json
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from servekit.errors import SpecError
from servekit.spec import load_spec
from servekit.spec.schema import SCHEMA_FILE, make_spec_schema, render_spec_schema


def find_properties(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for holder in [schema, *schema["$defs"].values()]:
        yield from holder["properties"].items()


def test_the_shipped_schema_is_current() -> None:
    assert SCHEMA_FILE.read_text(encoding="utf-8") == render_spec_schema(), (
        "run: python -m servekit.spec.schema > servekit/spec/servekit.schema.json"
    )


def test_every_field_is_described() -> None:
    assert [name for name, field in find_properties(make_spec_schema()) if not field.get("description")] == []


@pytest.mark.parametrize(
    ("spec", "is_valid"),
    [
        ({"predictor": "a.py:P"}, True),
        ({"predictor": "a.py:P", "serve": {"timeout": "10m", "max_body": "512MB", "queue": {"max": 3}}}, True),
        ({"predictor": "a.py:P", "serve": {"timeout": None, "cancel_grace": 2.5}}, True),
        ({"predictor": "a.py:P", "build": {"python_version": "3.12"}}, True),
        ({"predictor": "a.py:P", "weights": ["a", {"source": "s3://b/c", "target": "c"}]}, True),
        ({"predictor": "a.py:P", "weights": [{"source": "s3://b/c"}]}, False),
        ({"predictor": "a.py:P", "serve": {"timeout": "0.5s", "queue": {"timeout": "10s"}, "max_body": "10KB"}}, True),
        ({"predictor": "a.py:P", "serve": {"timeout": 0}}, False),
        ({"predictor": "a.py:P", "serve": {"timeout": "0s"}}, False),
        ({"predictor": "a.py:P", "serve": {"queue": {"timeout": 0}}}, False),
        ({"predictor": "a.py:P", "serve": {"queue": {"timeout": "0.0m"}}}, False),
        ({"predictor": "a.py:P", "serve": {"max_body": "0KB"}}, False),
        ({"predictor": "a.py:P", "serve": {"max_logs": "0KB", "cancel_grace": "0s"}}, True),
        ({"predictor": "a.py:P", "serve": {"concurrency": 4}}, True),
        ({"predictor": "a.py:P", "serve": {"concurrency": {"min": 2, "max": 8}, "target_latency": "200ms"}}, True),
        ({"predictor": "a.py:P", "serve": {"concurrency": "2-8"}}, True),
        ({"predictor": "a.py:P", "serve": {"concurrency": {"mni": 2, "max": 8}}}, False),
        ({"predictor": "a.py:P", "serve": {"concurrency": "auto"}}, False),
        ({}, False),
        ({"predictor": "a.py:P", "serv": {}}, False),
        ({"predictor": "a.py:P", "serve": {"timeout": "10 minutes"}}, False),
        ({"predictor": "a.py:P", "build": {"python_version": "3.7"}}, False),
    ],
)
def test_an_editor_sees_what_the_loader_sees(spec: dict[str, Any], is_valid: bool, tmp_path: Path) -> None:
    (tmp_path / "servekit.yaml").write_text(json.dumps(spec))

    assert jsonschema_rs.is_valid(make_spec_schema(), spec) is is_valid
    with nullcontext() if is_valid else pytest.raises(SpecError):
        load_spec(tmp_path)


@pytest.mark.parametrize("word", ["gt", "ge", "lt", "le"])
def test_the_schema_has_no_words_that_only_pydantic_knows(word: str) -> None:
    assert f'"{word}":' not in render_spec_schema()


def test_the_schema_is_json() -> None:
    assert json.loads(render_spec_schema())["title"] == "servekit.yaml"
