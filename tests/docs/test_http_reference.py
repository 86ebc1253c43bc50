"""The HTTP reference names every path and every status that the server's own OpenAPI document has."""

from pathlib import Path

import pytest

from servekit.runtime.model import Model
from servekit.server.openapi import make_openapi

PAGE = (Path(__file__).parents[2] / "docs/reference/http.md").read_text(encoding="utf-8")
MODEL = Model(
    input_schema={"type": "object", "properties": {}},
    output_schema={},
    is_async=False,
    streams=False,
    concatenates=False,
    uses_files=False,
    has_secrets=False,
    has_healthcheck=False,
)
PATHS = make_openapi("model", MODEL)["paths"]
OPERATIONS = [
    (method.upper(), path, operation)
    for path, methods in PATHS.items()
    for method, operation in methods.items()
    if method != "parameters"
]


@pytest.mark.parametrize(("method", "path"), [(method, path) for method, path, _ in OPERATIONS])
def test_every_operation_is_described(method: str, path: str) -> None:
    assert f"| `{method} {path}` |" in PAGE


@pytest.mark.parametrize(
    "status", sorted({status for *_, operation in OPERATIONS for status in operation["responses"]})
)
def test_every_status_is_described(status: str) -> None:
    assert f"| {status} |" in PAGE
