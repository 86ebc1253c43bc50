"""From what `predict` gives to JSON, and what kind of `predict` it is."""

import datetime as dt
import decimal
import enum
import functools
import io
import ipaddress
import math
import os
import pathlib
import subprocess
import sys
import uuid
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Generator,
    Iterable,
    Iterator,
)
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
import PIL.Image
import pydantic
import pytest
from typing_extensions import TypedDict

from servekit.errors import OutputError, SignatureError
from servekit.signature import Signature, inspect_signature
from servekit.types import AsyncConcatenateIterator, ConcatenateIterator, File, Path, Secret


class Colour(enum.Enum):
    RED = "red"


class Box(pydantic.BaseModel):
    x: int
    colour: Colour = Colour.RED


class Renamed(pydantic.BaseModel):
    inner: int = pydantic.Field(serialization_alias="outer")


@dataclass
class Point:
    x: float
    picture: Path | None = None


class Options(TypedDict):
    size: int


def signature_of(annotation: Any) -> Signature:
    def predict() -> Any: ...

    predict.__annotations__["return"] = annotation
    return inspect_signature(predict, "predict.py:run")


def encode(annotation: Any, value: Any) -> bytes:
    return signature_of(annotation).encode_output(value)


@pytest.mark.parametrize(
    ("annotation", "value", "encoded"),
    [
        (str, "é", '"é"'),
        (str, np.str_("a"), '"a"'),
        (int, 3, "3"),
        (int, 2**80, str(2**80)),
        (int, np.int64(3), "3"),
        (float, 1, "1.0"),
        (float, np.float32(1.5), "1.5"),
        (float, np.float64(1.5), "1.5"),
        (bool, True, "true"),
        (bool, np.bool_(True), "true"),
        (None, None, "null"),
        (int | None, None, "null"),
        (Literal["a"], "a", '"a"'),
        (Colour, Colour.RED, '"red"'),
        (Colour, "red", '"red"'),
        (list[float], [1, 2.5], "[1.0,2.5]"),
        (list[float], (1.0, 2.0), "[1.0,2.0]"),
        (list[float], np.array([1.0, 2.0]), "[1.0,2.0]"),
        (list[list[int]], np.arange(4).reshape(2, 2), "[[0,1],[2,3]]"),
        (list[float], [np.float32(1)], "[1.0]"),
        (tuple[int, str], [1, "a"], '[1,"a"]'),
        (set[int], {1}, "[1]"),
        (dict[str, int], {"a": np.int64(1)}, '{"a":1}'),
        (dict[int, str], {1: "a"}, '{"1":"a"}'),
        (Box, Box(x=1), '{"x":1,"colour":"red"}'),
        (Box, {"x": 1}, '{"x":1,"colour":"red"}'),
        (list[Box], [Box(x=1)], '[{"x":1,"colour":"red"}]'),
        (Renamed, Renamed(inner=1), '{"outer":1}'),
        (Point, Point(1.5), '{"x":1.5,"picture":null}'),
        (Point, {"x": 1.5}, '{"x":1.5,"picture":null}'),
        (Options, {"size": 1}, '{"size":1}'),
        (dt.date, dt.date(2024, 5, 6), '"2024-05-06"'),
        (decimal.Decimal, decimal.Decimal("1.10"), '"1.10"'),
        (uuid.UUID, uuid.UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
        (bytes, b"ab", '"YWI="'),
        (Secret, Secret("tiger"), '"**********"'),
        (Annotated[float, pydantic.PlainSerializer(lambda value: round(value, 1))], 1.26, "1.3"),
        (Any, {"a": [None, {1}, (2,)]}, '{"a":[null,[1],[2]]}'),
        (Any, np.array([[1, 2]]), "[[1,2]]"),
        (Any, {"n": np.float32(0.5), np.int64(1): "one"}, '{"n":0.5,"1":"one"}'),
        (Any, np.datetime64("2024-05-06"), '"2024-05-06"'),
        (Any, [Box(x=1), Point(0.5)], '[{"x":1,"colour":"red"},{"x":0.5,"picture":null}]'),
        (Any, dt.datetime(2024, 5, 6, tzinfo=dt.UTC), '"2024-05-06T00:00:00Z"'),
        (Any, dt.timedelta(seconds=90), '"PT90S"'),
        (Any, ipaddress.IPv4Address("1.2.3.4"), '"1.2.3.4"'),
        (Any, {"secret": Secret("tiger")}, '{"secret":"**********"}'),
        (dict[str, Any], {"a": np.arange(2)}, '{"a":[0,1]}'),
    ],
)
def test_each_value_that_fits_is_encoded_as_compact_json(annotation: Any, value: Any, encoded: str) -> None:
    assert encode(annotation, value).decode() == encoded


@pytest.mark.parametrize(
    ("annotation", "value", "message"),
    [
        (str, 1, "expected str, got int 1"),
        (str, None, "expected str, got None"),
        (int, "3", "expected int, got str '3'"),
        (int, True, "expected int, got bool True"),
        (int, 1.0, "expected int, got float 1.0"),
        (float, "a", "expected float, got str 'a'"),
        (None, 1, "expected None, got int 1"),
        (
            list[float],
            [1, "x"],
            r"expected list\[float\], got list \[1, 'x'\]; at \[1\]: expected a number, got str 'x'",
        ),
        (
            list[int],
            np.array([0.5]),
            r"expected list\[int\], got ndarray .*at \[0\]: expected an integer, got float 0.5",
        ),
        (Box, {"x": "1"}, r"expected .*Box, got dict .*at \['x'\]: expected an integer, got str '1'"),
        (Box, {}, r"at \['x'\]: missing"),
        (Literal["a"], "b", "expected Literal"),
        (Path, "/tmp/a.png", "expected Path, got str"),
        (list[Path], ("/tmp/a.png",), r"expected list\[Path\], got tuple"),
        (list[str], (Path("/tmp/a.png"),), r"expected list\[str\], got tuple"),
        (list[int], [0.5] * 9, "and 6 more"),
    ],
)
def test_a_value_that_does_not_fit_is_named_with_what_was_expected(annotation: Any, value: Any, message: str) -> None:
    with pytest.raises(OutputError, match=message):
        encode(annotation, value)


def loop() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("annotation", [Any, list, list[Any]])
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: [object()], "object of type object cannot be written as JSON"),
        (
            lambda: [PIL.Image.new("RGB", (1, 1))],
            r"image \(PIL.Image.Image\) .*save it to a file and return servekit.Path",
        ),
        (lambda: [iter([1])], "iterator.*annotate predict with `-> Iterator"),
        (lambda: [{(1, 2): 3}], r"keys of an object must be text or numbers, not tuple \(\(1, 2\)\)"),
        (lambda: ["\ud800"], "cannot be written as JSON: .*surrogates"),
        (lambda: [1.0, None, {"a": math.nan}], r"got nan at \[2\]\['a'\], and JSON has no NaN"),
        (lambda: [math.inf], r"got inf at \[0\]"),
        (lambda: [np.array([1, np.nan])], r"got nan at \[1\]"),
        (lambda: [np.float32("nan")], "got nan"),
        (lambda: [Point(math.nan)], r"got nan at \[0\](.x|\['x'\])"),
        (loop, "nested too deeply or contains itself"),
        (lambda: nested(100_000), "nested too deeply or contains itself"),
    ],
)
def test_what_json_cannot_hold_is_named(annotation: Any, make: Callable[[], Any], message: str) -> None:
    with pytest.raises(OutputError, match=message):
        encode(annotation, make())


@pytest.mark.parametrize(
    ("annotation", "value"), [(float, math.nan), (list[float], [math.inf]), (Point, Point(math.nan))]
)
def test_nan_is_refused_where_a_float_is_expected(annotation: Any, value: Any) -> None:
    with pytest.raises(OutputError, match="JSON has no NaN"):
        encode(annotation, value)


def test_an_object_whose_repr_fails_is_named_by_its_type() -> None:
    class Broken:
        def __repr__(self) -> str:
            raise RuntimeError("no")

    with pytest.raises(OutputError, match=r"expected str, got .*Broken"):
        encode(str, Broken())


def test_a_large_value_is_shortened_in_the_message() -> None:
    with pytest.raises(OutputError) as caught:
        encode(int, "x" * 1_000_000)

    assert len(str(caught.value)) < 300


@pytest.fixture
def picture(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "a.png"
    path.write_bytes(b"pixels")
    return path


@pytest.mark.parametrize("annotation", [Path, Any, Path | None, int | Path])
def test_a_path_becomes_a_data_url_with_the_files_content(annotation: Any, picture: pathlib.Path) -> None:
    assert encode(annotation, Path(picture)) == b'"data:image/png;base64,cGl4ZWxz"'


def test_a_path_inside_a_model_a_list_or_a_dict_becomes_a_data_url(picture: pathlib.Path) -> None:
    url = "data:image/png;base64,cGl4ZWxz"

    assert msgspec.json.decode(encode(Point, Point(1, Path(picture)))) == {"x": 1.0, "picture": url}
    assert msgspec.json.decode(encode(list[Path], (Path(picture),))) == [url]
    assert msgspec.json.decode(encode(dict[str, Any], {"p": picture})) == {"p": url}


@pytest.mark.parametrize("annotation", [File, Any, list[File], list[Any]])
def test_an_open_file_becomes_a_data_url_from_its_beginning(annotation: Any) -> None:
    file = io.BytesIO()
    file.write(b"pixels")
    is_list = annotation in (list[File], list[Any])

    encoded = encode(annotation, [file] if is_list else file)

    assert encoded.strip(b"[]") == b'"data:application/octet-stream;base64,cGl4ZWxz"'


def test_a_path_to_nothing_says_so(tmp_path: pathlib.Path) -> None:
    with pytest.raises(OutputError, match=r"the file .*nothing.png cannot be read: No such file"):
        encode(Path, Path(tmp_path / "nothing.png"))


def test_a_path_to_a_folder_says_so(tmp_path: pathlib.Path) -> None:
    with pytest.raises(OutputError, match="cannot be read: Is a directory"):
        encode(Path, Path(tmp_path))


@pytest.mark.parametrize("path", ["/dev/zero", "pipe"])
def test_a_path_to_what_may_have_no_end_is_not_read(tmp_path: pathlib.Path, path: str) -> None:
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(OutputError, match=rf"the file .*{path} cannot be read: it is no regular file"):
        encode(Path, Path(tmp_path / path))


def test_numpy_is_not_imported_for_values_without_it() -> None:
    code = (
        "import sys\nfrom typing import Any\nfrom servekit.signature import inspect_signature\n"
        "def predict(n: int) -> Any: ...\n"
        "inspect_signature(predict, 'p').encode_output({'a': [1.5]})\n"
        "print([name for name in ('numpy', 'PIL', 'jsonschema_rs', 'fastapi', 'urllib3') if name in sys.modules])\n"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        (np.ndarray, "cannot be an output .*An array fits list"),
        (Callable[[], int], "cannot be an output"),
        (pathlib.Path, "annotate it with servekit.Path"),
        (ConcatenateIterator[int], "only text can be joined"),
        ("NoSuchName", "annotation cannot be read"),
    ],
)
def test_what_cannot_be_an_output_is_named(annotation: Any, message: str) -> None:
    with pytest.raises(SignatureError, match=message):
        signature_of(annotation)


def plain(n: int) -> int:
    return n


def generator(n: int) -> Iterator[int]:
    yield n


async def coroutine(n: int) -> int:
    return n


async def async_generator(n: int) -> AsyncIterator[int]:
    yield n


def returns_iterator(n: int) -> Iterator[int]:
    return iter([n])


def returns_async_iterator(n: int) -> AsyncIterator[int]:
    return async_generator(n)


def unannotated_generator(n: int):  # type: ignore[no-untyped-def]  # noqa: ANN201 - it is what is tested
    yield n


class Callee:
    async def __call__(self, n: int) -> AsyncIterator[int]:
        yield n


@pytest.mark.parametrize(
    ("predict", "is_async", "streams"),
    [
        (plain, False, False),
        (generator, False, True),
        (coroutine, True, False),
        (async_generator, True, True),
        (returns_iterator, False, True),
        (returns_async_iterator, True, True),
        (unannotated_generator, False, True),
        (Callee(), True, True),
        (Callee().__call__, True, True),
        (functools.partial(generator), False, True),
    ],
)
def test_each_kind_of_predict_is_told_apart(predict: Callable[..., Any], is_async: bool, streams: bool) -> None:
    signature = inspect_signature(predict, "p")

    assert (signature.is_async, signature.streams) == (is_async, streams)


@pytest.mark.parametrize(
    "annotation",
    [
        Iterator[int],
        Iterable[int],
        Generator[int, None, None],
        AsyncIterator[int],
        AsyncIterable[int],
        AsyncGenerator[int],
    ],
)
def test_each_item_of_a_stream_is_checked(annotation: Any) -> None:
    if annotation is AsyncGenerator[int] and sys.version_info < (3, 13):
        annotation = AsyncGenerator[int, None]
    signature = signature_of(annotation)

    assert signature.encode_output(1) == b"1"
    with pytest.raises(OutputError, match="expected int, got str"):
        signature.encode_output("1")


def test_a_generator_with_a_plain_annotation_is_refused_with_the_right_one() -> None:
    def predict() -> str:  # type: ignore[misc]
        yield "a"  # pyright: ignore[reportReturnType]

    with pytest.raises(SignatureError, match=r"write `-> Iterator\[str\]`"):
        inspect_signature(predict, "p")


def test_the_output_schema_of_a_value() -> None:
    assert signature_of(list[int]).output_schema == {"title": "Output", "type": "array", "items": {"type": "integer"}}


def test_the_output_schema_of_a_stream() -> None:
    assert signature_of(Iterator[int]).output_schema == {
        "title": "Output",
        "type": "array",
        "items": {"type": "integer"},
        "x-servekit-iterator": True,
        "x-cog-array-type": "iterator",
    }


def test_the_output_schema_of_a_stream_of_models_can_be_resolved() -> None:
    schema = signature_of(Iterator[Box]).output_schema

    assert schema["items"]["properties"]["colour"] == {"$ref": "#/$defs/Colour", "default": "red"}
    assert "Colour" in schema["$defs"]


@pytest.mark.parametrize("annotation", [ConcatenateIterator[str], AsyncConcatenateIterator[str]])
def test_text_to_be_joined_is_marked(annotation: Any) -> None:
    signature = signature_of(annotation)

    assert signature.concatenates
    assert signature.output_schema["x-servekit-display"] == "concatenate"
    assert signature.output_schema["x-cog-array-display"] == "concatenate"


def test_files_and_secrets_in_the_output_are_told() -> None:
    assert signature_of(list[Path]).uses_files
    assert signature_of(Secret).has_secrets


def test_annotations_as_strings_and_of_methods_are_read() -> None:
    class Predictor:
        def predict(self, box: "Box", names: "list[str]") -> "dict[str, Box]":
            return dict.fromkeys(names, box)

    signature = inspect_signature(Predictor().predict, "p")

    assert signature.decode_input(b'{"box":{"x":1},"names":[]}') == {"box": Box(x=1), "names": []}


def test_a_decorated_predict_keeps_its_signature() -> None:
    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs)

        return wrapper

    assert inspect_signature(decorate(plain), "p").decode_input(b'{"n":1}') == {"n": 1}
