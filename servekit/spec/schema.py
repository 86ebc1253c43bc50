"""The JSON Schema of `servekit.yaml`, for editors and for `servekit schema --spec`.

The shipped file is written by `python -m servekit.spec.schema > servekit/spec/servekit.schema.json`.
"""

import json
import sys
from pathlib import Path
from typing import Any, Final

from servekit.spec.model import SpecFile

__all__ = ["SCHEMA_FILE", "make_spec_schema", "render_spec_schema"]

SCHEMA_FILE: Final = Path(__file__).with_name("servekit.schema.json")


def make_spec_schema() -> dict[str, Any]:
    """Make the JSON Schema of the spec from its classes."""
    schema = SpecFile.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "servekit.yaml"}


def render_spec_schema() -> str:
    """Write the JSON Schema of the spec as the text of the shipped file."""
    return json.dumps(make_spec_schema(), indent=2) + "\n"


if __name__ == "__main__":
    sys.stdout.write(render_spec_schema())
