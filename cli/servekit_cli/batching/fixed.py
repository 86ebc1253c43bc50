"""The values that `-i` gives to all rows."""

import json
from collections.abc import Sequence
from typing import Any

from servekit_cli.inputs import InputRequest, read_arguments
from servekit_cli.schemas import Schema, is_file, resolve

__all__ = ["read_fixed"]


def read_fixed(pairs: Sequence[str], schema: Schema) -> dict[str, Any]:
    """Read them as `servekit predict` does, but for files, which stay `@FILE` and are sent with each row.

    Raises:
        UsageError: A pair has no `=`, or a file is missing.
    """
    request = read_arguments(pairs, None)
    properties = schema.get("properties", {})
    files = {
        name: text
        for name, text in request.pairs
        if text.startswith("@") and is_file(resolve(properties.get(name, {}), schema), schema)
    }
    others = InputRequest({}, tuple(pair for pair in request.pairs if pair[0] not in files), request.stdin)
    return {**json.loads(others.fit(schema).raw), **files}
