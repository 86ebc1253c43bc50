"""An input on its way to a server, with the files that it names.

Files travel as the parts of a form, so that they keep their names and none is in memory as a whole. A
form knows text only: where an input would not arrive as it was sent, files stand in the JSON as data URLs.
"""

import base64
import json
import mimetypes
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from servekit.server.fields import Field, compose_input
from servekit_cli.inputs import PredictionInput

__all__ = ["RequestBody", "inline_files"]

_ENVELOPE_BYTES = 1_000_000
"""Room for the boundaries of a form, and for what stands around an input."""


@dataclass(frozen=True)
class RequestBody:
    """The body of a request for a prediction.

    Attributes:
        fitted: The input, checked.
        schema: The JSON Schema that it fits.
        context: Free keys and values for the predictor, for which a form has no place.
    """

    fitted: PredictionInput
    schema: Mapping[str, Any]
    context: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def max_bytes(self) -> int:
        """At least its size, however it is sent."""
        files = sum(Path(path).stat().st_size for path in self.fitted.uploads.values())
        return len(self.fitted.raw) + files * 4 // 3 + len(_encode(self.context)) + _ENVELOPE_BYTES

    @contextmanager
    def open(self) -> Generator[dict[str, Any]]:
        """Give the arguments of an httpx request; its files are open inside the block."""
        fits_form = bool(self.fitted.uploads) and not self.context
        fields = _make_fields(self.fitted, dict(self.schema)) if fits_form else None
        if fields is None:
            context = b',"context":' + _encode(self.context) if self.context else b""
            content = b'{"input":' + inline_files(self.fitted) + context + b"}"
            yield {"content": content, "headers": {"Content-Type": "application/json"}}
            return
        with ExitStack() as files:
            yield {"files": [(each.name, _open_part(each, self.fitted.uploads, files)) for each in fields]}


def _encode(context: Mapping[str, str]) -> bytes:
    return json.dumps(dict(context)).encode()


def _make_fields(fitted: PredictionInput, schema: dict[str, Any]) -> list[Field] | None:
    """Make the fields of a form; None if the server would not read the same input from them."""
    values: dict[str, Any] = json.loads(fitted.raw)
    fields: list[Field] = []
    for name, value in values.items():
        fields += [_make_field(name, item, fitted.uploads) for item in _split(value, fitted.uploads)]
    is_whole = {each.text for each in fields if each.is_file} == set(fitted.uploads)
    return fields if is_whole and json.loads(compose_input(fields, schema)) == values else None


def _split(value: Any, uploads: Mapping[str, str]) -> list[Any]:
    """Give the items of a list with files in it, each of which becomes a field; anything else is one field."""
    if isinstance(value, list):
        items: list[Any] = value  # pyright: ignore[reportUnknownVariableType] # JSON
        if any(isinstance(item, str) and item in uploads for item in items):
            return items
    return [value]


def _make_field(name: str, value: Any, uploads: Mapping[str, str]) -> Field:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return Field(name, text, is_file=text in uploads)


def _open_part(field: Field, uploads: Mapping[str, str], files: ExitStack) -> tuple[Any, ...]:
    if not field.is_file:
        return (None, field.text)
    path = Path(uploads[field.text])
    return (path.name, files.enter_context(path.open("rb")), _media_type(path))


def inline_files(fitted: PredictionInput) -> bytes:
    """Return an input as JSON with data URLs in place of its upload tokens; the files are in memory then."""
    raw = fitted.raw
    for token, place in fitted.uploads.items():
        path = Path(place)
        url = f"data:{_media_type(path)};base64,{base64.b64encode(path.read_bytes()).decode()}"
        # A token is random, so nothing else in the input can be taken for it.
        raw = raw.replace(json.dumps(token, ensure_ascii=False).encode(), json.dumps(url).encode())
    return raw


def _media_type(path: Path) -> str:
    return mimetypes.guess_type(path.name)[0] or "application/octet-stream"
