"""Outputs of a Cog project: what annotations say, and what is sent whatever they say."""

import base64
import dataclasses
import datetime as dt
import enum
import http.server
import json
import pickle
import threading
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydantic
import pytest

from servekit.compat import cog
from servekit.compat.predictor import CogPredictor
from servekit.compat.reading import CogReading
from servekit.errors import OutputError, SignatureError
from servekit.signature import Signature, inspect_signature

Read = Callable[..., Signature]

ITERATOR = {"x-cog-array-type": "iterator"}
CONCATENATED = {**ITERATOR, "x-cog-array-display": "concatenate"}

SCHEMAS: dict[str, dict[str, Any]] = {
    "str": {"type": "string"},
    "Path": {"type": "string", "format": "uri"},
    "pathlib.Path": {"type": "string", "format": "uri"},
    "list[Path]": {"type": "array", "items": {"type": "string", "format": "uri"}},
    "dict[str, list[int]]": {"type": "object"},
    "Any": {},
    "Payload": {"type": "object"},
    "Iterator[str]": {"type": "array", "items": {"type": "string"}, **ITERATOR},
    "AsyncIterator[Path]": {"type": "array", "items": {"type": "string", "format": "uri"}, **ITERATOR},
    "ConcatenateIterator[str]": {"type": "array", "items": {"type": "string"}, **CONCATENATED},
    "AsyncConcatenateIterator[str]": {"type": "array", "items": {"type": "string"}, **CONCATENATED},
    "Annotated[Foreign, Opaque]": {"type": "object"},
    "Annotated[list[Foreign], Opaque]": {"type": "array"},
    "Optional[str]": {"anyOf": [{"type": "string"}, {"type": "null"}]},
    "tuple[int, str]": {"type": "array"},
}


@pytest.mark.parametrize("annotation", SCHEMAS)
def test_the_schema_says_what_the_annotation_says(read_runner: Read, annotation: str) -> None:
    schema = read_runner("", annotation).output_schema

    assert {"title": "Output", **SCHEMAS[annotation]}.items() <= schema.items()


def test_an_output_without_an_annotation_is_anything(load_runner: Callable[[str], CogPredictor]) -> None:
    loaded = load_runner("def Runner(x: int): return x\n")

    assert inspect_signature(loaded.predict, "p", CogReading()).output_schema == {"title": "Output"}


def test_only_text_is_concatenated(read_runner: Read) -> None:
    with pytest.raises(SignatureError, match="ConcatenateIterator element type must be str, got int"):
        read_runner("", "ConcatenateIterator[int]")


@pytest.mark.parametrize(("annotation", "streams"), [("str", True), ("list[str]", True), ("Iterator[str]", True)])
def test_a_generator_streams_whatever_its_annotation_says(read_runner: Read, annotation: str, streams: bool) -> None:
    signature = read_runner("", annotation, body="yield 'a'")

    assert (signature.streams, signature.is_async) == (streams, False)


# ---------------------------------------------------------------------- values


class Colour(enum.Enum):
    RED = "red"


class Model(pydantic.BaseModel):
    a: int


@dataclasses.dataclass
class Record:
    a: int


def test_a_value_that_fits_is_sent(read_runner: Read) -> None:
    assert read_runner("", "str").encode_output("a") == b'"a"'


MISFITS: dict[str, tuple[str, Any, Any]] = {
    "int for str": ("str", 1, 1),
    "None for int": ("int", None, None),
    "None for str": ("str", None, None),
    "float for int": ("int", 1.5, 1.5),
    "text for a Path": ("Path", "out.png", "out.png"),
    "a list for one": ("str", ["a"], ["a"]),
    "a dict for a list": ("list[str]", {"a": 1}, {"a": 1}),
    "a number yielded for text": ("Iterator[str]", 1, 1),
    "an object without its fields": ("Point", {"y": 1}, {"y": 1}),
    "another dataclass": ("Point", Record(1), {"a": 1}),
    "a model of pydantic": ("str", Model(a=1), {"a": 1}),
    "an enum": ("int", Colour.RED, "red"),
    "a set": ("str", {"a"}, ["a"]),
    "a tuple": ("str", ("a", 1), ["a", 1]),
    "a time": ("str", dt.datetime(2026, 1, 2, 3, 4, 5), "2026-01-02T03:04:05"),  # noqa: DTZ001 - one without a zone
    "numpy's int": ("str", np.int64(3), 3),
    "numpy's float": ("str", np.float32(0.5), 0.5),
    "an array": ("str", np.arange(3), [0, 1, 2]),
}


@pytest.mark.parametrize(("annotation", "value", "sent"), MISFITS.values(), ids=MISFITS)
def test_a_value_that_does_not_fit_its_annotation_is_sent_as_it_is(
    read_runner: Read, annotation: str, value: object, sent: object
) -> None:
    assert json.loads(read_runner("", annotation).encode_output(value)) == sent


@pytest.mark.parametrize("value", [float("nan"), object()])
def test_what_json_cannot_hold_fails_all_the_same(read_runner: Read, value: object) -> None:
    with pytest.raises(OutputError):
        read_runner("", "str").encode_output(value)


def test_a_file_is_sent_by_its_content_wherever_it_stands(read_runner: Read, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"hi")
    url = f"data:text/plain;base64,{base64.b64encode(b'hi').decode()}"
    path = cog.Path(tmp_path / "a.txt")

    assert json.loads(read_runner("", "Path").encode_output(path)) == url
    assert json.loads(read_runner("", "str").encode_output({"a": [path]})) == {"a": [url]}


def test_a_secret_is_masked_in_every_output(read_runner: Read) -> None:
    secret = cog.Secret("s3cret")

    assert read_runner("", "Secret").encode_output(secret) == b'"**********"'
    assert read_runner("", "str").encode_output({"key": secret}) == b'{"key":"**********"}'
    assert read_runner("", "Any").encode_output([secret]) == b'["**********"]'


# ---------------------------------------------------------------------- cog.BaseModel


class Output(cog.BaseModel):
    text: str
    score: float = 0.5


class Derived(Output):
    more: str = ""


def test_a_model_is_a_dataclass() -> None:
    assert Output(text="a") == Output("a", 0.5)
    assert Derived("a", more="b") == Derived("a", 0.5, "b")
    assert [field.name for field in dataclasses.fields(Derived)] == ["text", "score", "more"]


def test_a_model_is_sent_as_an_object(read_runner: Read) -> None:
    assert json.loads(read_runner("", "Any").encode_output(Output("a"))) == {"text": "a", "score": 0.5}


def test_options_of_a_dataclass_can_be_given() -> None:
    class Frozen(cog.BaseModel, frozen=True):
        x: int

    with pytest.raises(dataclasses.FrozenInstanceError):
        Frozen(1).x = 2  # type: ignore[misc]


def test_a_model_without_init_keeps_the_author_s_own() -> None:
    class Own(cog.BaseModel, init=False):
        x: int

        def __init__(self) -> None:
            self.x = 7

    assert dataclasses.asdict(Own()) == {"x": 7}


def test_a_class_may_stay_as_it_is() -> None:
    class Manual(cog.BaseModel, auto_dataclass=False):
        x: int

    assert not dataclasses.is_dataclass(Manual)


class Other:
    pass


@pytest.mark.parametrize(
    ("bases", "options", "kind", "message"),
    [
        ((Other, cog.BaseModel), {}, TypeError, 'Primary base class of "Bad" must inherit from BaseModel'),
        ((cog.BaseModel, Record), {}, TypeError, 'Cannot mixin dataclass "Record" while inheriting from `BaseModel`'),
        ((Output,), {"auto_dataclass": False}, ValueError, "auto_dataclass=True, but .* has auto_dataclass=False"),
    ],
)
def test_bases_that_do_not_go_together_are_refused(
    bases: tuple[type, ...], options: dict[str, Any], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        types.new_class("Bad", bases, options)


# ---------------------------------------------------------------------- URLFile and URLPath


def test_a_url_file_has_a_name_and_is_fetched_later() -> None:
    file = cog.URLFile("https://example.invalid/a/image.jpg?size=1")

    assert (file.name, cog.URLFile("http://example.invalid/a", filename="b.png").name) == ("image.jpg", "b.png")
    file.close()


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"{self.headers['User-Agent']}\nsecond".encode())

    def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002 - its name


def test_a_url_file_is_read_by_lines_or_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COG_USER_AGENT", "agent/1")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/a.txt"

        with cog.URLFile(url) as whole, cog.URLFile(url) as lines:
            assert (whole.read(), list(lines)) == (b"agent/1\nsecond", [b"agent/1\n", b"second"])
        server.shutdown()


def test_a_url_file_can_be_pickled() -> None:
    restored = pickle.loads(pickle.dumps(cog.URLFile("https://example.invalid/image.jpg")))

    assert (restored.name, restored.url) == ("image.jpg", "https://example.invalid/image.jpg")


def test_a_url_file_is_of_http_only() -> None:
    with pytest.raises(ValueError, match="URLFile requires URL to conform to HTTP or HTTPS protocol"):
        cog.URLFile("ftp://example.invalid/a")


def test_a_url_path_is_written_when_it_is_converted(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"content")
    with (tmp_path / "source").open("rb") as source:
        path = cog.URLPath(source="https://example.invalid/a.png", filename="a.png", fileobj=source)

        local = path.convert()

        assert (local.read_bytes(), local.suffix, str(path)) == (b"content", ".png", "https://example.invalid/a.png")
        assert path.convert() is local
    path.unlink()
    assert not local.exists()


def test_a_url_path_that_cannot_be_read_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with (tmp_path / "source").open("wb") as unreadable:
        path = cog.URLPath(source="https://example.invalid/a.png", filename="a.png", fileobj=unreadable)

        with pytest.raises(OSError, match="read"):
            path.convert()

    assert [file.name for file in tmp_path.iterdir()] == ["source"]
