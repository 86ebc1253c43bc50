"""From parameters to JSON Schema and typed arguments."""

import datetime as dt
import decimal
import enum
import inspect
import json
import math
import pathlib
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NewType, Optional, cast

import jsonschema_rs
import numpy as np
import pydantic
import pytest
from typing_extensions import TypedDict

from servekit.errors import FileFetchError, InputError, SignatureError
from servekit.predictor import Input
from servekit.signature import Signature, inspect_signature
from servekit.types import File, Path, Secret


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Box(pydantic.BaseModel):
    x: int
    label: str = "none"


class Login(pydantic.BaseModel):
    token: Secret
    user: str = "me"


@dataclass
class Point:
    x: int
    y: int = 0


class Options(TypedDict):
    size: int


class Plain:
    """Neither a dataclass nor a model."""


class Files:
    """Stands for a source of files: knows those of one folder."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder

    def resolve(self, value: str) -> pathlib.Path:
        if not value.startswith("known:"):
            raise FileFetchError("not a file")
        return self.folder / value.removeprefix("known:")


def signature_of(annotation: Any, default: Any = ...) -> Signature:
    """Return the signature of a function with one parameter, `x`."""

    def predict(x: Any = default) -> None: ...

    predict.__annotations__["x"] = annotation
    if default is ...:
        predict.__defaults__ = None
    return inspect_signature(predict, "predict.py:run")


def decode(annotation: Any, given: str, files: Any = None) -> Any:
    return signature_of(annotation).decode_input(b'{"x":%s}' % given.encode(), files)["x"]


def problems_of(call: Callable[[], Any]) -> list[dict[str, Any]]:
    with pytest.raises(InputError) as caught:
        call()
    return caught.value.problems


Age = NewType("Age", int)


@pytest.mark.parametrize(
    ("annotation", "given", "value"),
    [
        (str, '"a"', "a"),
        (int, "3", 3),
        (int, "3.0", 3),
        (float, "3", 3.0),
        (bool, "true", True),
        (Any, '{"a":[1,null]}', {"a": [1, None]}),
        (Literal["a", "b"], '"b"', "b"),
        (Colour, '"red"', Colour.RED),
        (Optional[int], "null", None),  # noqa: UP045 - both spellings must work
        (int | str, '"7"', "7"),
        (list[list[int]], "[[1],[]]", [[1], []]),
        (dict[str, list[int]], '{"a":[1]}', {"a": [1]}),
        (tuple[int, str], '[1,"a"]', (1, "a")),
        (set[int], "[1,2]", {1, 2}),
        (Box, '{"x":1}', Box(x=1)),
        (list[Box], '[{"x":1,"label":"b"}]', [Box(x=1, label="b")]),
        (Point, '{"x":1}', Point(1)),
        (Options, '{"size":2}', {"size": 2}),
        (dt.datetime, '"2024-05-06T07:08:09Z"', dt.datetime(2024, 5, 6, 7, 8, 9, tzinfo=dt.UTC)),
        (dt.date, '"2024-05-06"', dt.date(2024, 5, 6)),
        (dt.time, '"07:08:09"', dt.time(7, 8, 9)),
        (dt.timedelta, '"PT90S"', dt.timedelta(seconds=90)),
        (uuid.UUID, '"00000000-0000-0000-0000-000000000001"', uuid.UUID(int=1)),
        (decimal.Decimal, '"1.10"', decimal.Decimal("1.10")),
        (bytes, '"YWI="', b"ab"),
        (Annotated[int, pydantic.Field(ge=1)], "1", 1),
        (Age, "4", 4),
        (Secret, '"tiger"', Secret("tiger")),
        (list[Login], '[{"token":"t"}]', [Login(token=Secret("t"))]),
    ],
)
def test_each_annotation_takes_its_values_and_its_schema_allows_them(annotation: Any, given: str, value: Any) -> None:
    signature = signature_of(annotation)
    raw = b'{"x":%s}' % given.encode()

    decoded = signature.decode_input(raw)

    assert decoded == {"x": value}
    assert type(decoded["x"]) is type(value)
    jsonschema_rs.Draft202012Validator(signature.input_schema).validate(json.loads(raw))


@pytest.mark.parametrize(
    ("annotation", "given", "message"),
    [
        (int, '"x"', 'expected an integer, got "x"'),
        (int, "1.5", "expected an integer, got 1.5"),
        (float, "[]", r"expected a number, got \[\]"),
        (str, "1", "expected a string, got 1"),
        (bool, "[]", "expected a boolean"),
        (Literal["a", "b"], '"z"', "expected 'a' or 'b'"),
        (Colour, '"z"', "expected 'red' or 'blue'"),
        (int | str, "1.5", "expected an integer or a string, got 1.5"),
        (list[int], "1", "expected a list"),
        (Box, "1", "expected an object"),
        (Annotated[int, pydantic.Field(multiple_of=3)], "4", "expected a multiple of 3, got 4"),
        (dt.date, '"z"', "expected date"),
        (bytes, '"!!"', 'expected base64 text, got "!!"; for files use servekit.Path'),
        (bytes, "5", "expected base64 text, got 5; for files use servekit.Path"),
    ],
)
def test_a_wrong_value_is_named_with_what_was_expected(annotation: Any, given: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        decode(annotation, given)


def test_a_problem_has_path_message_type_and_value() -> None:
    problems = problems_of(lambda: decode(list[Box], '[{"x":1},{"x":"no"}]'))

    assert problems == [
        {"loc": ["input", "x", 1, "x"], "msg": 'expected an integer, got "no"', "type": "type", "value": "no"}
    ]


def test_all_problems_are_found_at_once() -> None:
    def predict(a: int, b: int = 1) -> None: ...

    problems = problems_of(lambda: inspect_signature(predict, "p").decode_input(b'{"b":"x","c":1}'))

    assert [(each["loc"][-1], each["type"]) for each in problems] == [("a", "missing"), ("b", "type"), ("c", "unknown")]


def test_an_unknown_name_comes_with_the_nearest_known_one() -> None:
    def predict(prompt: str = "") -> None: ...

    [problem] = problems_of(lambda: inspect_signature(predict, "p").decode_input(b'{"promt":"a"}'))

    assert problem["msg"] == 'unknown name; did you mean "prompt"?'


def test_a_long_value_is_shortened() -> None:
    [problem] = problems_of(lambda: decode(int, f'"{"x" * 10_000}"'))

    assert len(problem["value"]) < 250
    assert len(problem["msg"]) < 250


@pytest.mark.parametrize(
    ("raw", "message"),
    [(b"{", "not valid JSON"), (b"\xff", "not valid JSON"), (b"[]", "expected an object"), (b'{"x":NaN}', "finite")],
)
def test_what_is_no_json_object_is_refused(raw: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        signature_of(float).decode_input(raw)


def test_deep_json_is_refused_and_crashes_nothing() -> None:
    with pytest.raises(InputError, match="nested too deeply"):
        decode(Any, "[" * 100_000 + "]" * 100_000)


def test_a_missing_input_gets_its_default_and_each_call_its_own_copy() -> None:
    signature = signature_of(list[int], [1])

    first = signature.decode_input(b"{}")["x"]
    first.append(2)

    assert signature.decode_input(b"{}") == {"x": [1]}


@pytest.mark.parametrize("annotation", [int, int | None, Annotated[int, "note"], Literal["a"]])
def test_a_default_of_none_lets_null_in(annotation: Any) -> None:
    signature = signature_of(annotation, Input(default=None))

    assert signature.decode_input(b"{}") == signature.decode_input(b'{"x":null}') == {"x": None}


def test_an_optional_input_without_a_default_may_be_left_out() -> None:
    signature = signature_of(int | None)

    assert signature.decode_input(b"{}") == {"x": None}
    assert "required" not in signature.input_schema


def test_a_default_becomes_a_value_of_the_type() -> None:
    assert signature_of(Colour, "red").decode_input(b"{}") == {"x": Colour.RED}


def test_names_that_pydantic_uses_itself_can_be_inputs() -> None:
    def predict(
        json: str, schema: int, copy: bool, model_config: str, _hidden: str, model_fields: str = "f"
    ) -> None: ...

    signature = inspect_signature(predict, "p")

    decoded = signature.decode_input(b'{"json":"j","schema":1,"copy":true,"model_config":"m","_hidden":"h"}')

    assert decoded == {
        "json": "j",
        "schema": 1,
        "copy": True,
        "model_config": "m",
        "_hidden": "h",
        "model_fields": "f",
    }


def test_the_schema_is_an_object_in_the_order_of_the_parameters() -> None:
    def predict(
        prompt: str = Input(description="What to say", min_length=1, examples=["hi"]),
        max_tokens: int = Input(16, ge=1, le=100, deprecated=True),
    ) -> None: ...

    schema = inspect_signature(predict, "p").input_schema

    assert schema == {
        "title": "Input",
        "type": "object",
        "additionalProperties": False,
        "required": ["prompt"],
        "properties": {
            "prompt": {
                "title": "Prompt",
                "type": "string",
                "description": "What to say",
                "minLength": 1,
                "examples": ["hi"],
                "x-order": 0,
            },
            "max_tokens": {
                "title": "Max Tokens",
                "type": "integer",
                "default": 16,
                "minimum": 1,
                "maximum": 100,
                "deprecated": True,
                "x-order": 1,
            },
        },
    }


def test_a_predictor_without_inputs_takes_an_empty_object() -> None:
    def predict() -> None: ...

    signature = inspect_signature(predict, "p")

    assert signature.decode_input(b"{}") == {}
    assert signature.input_schema["properties"] == {}


@pytest.mark.parametrize(
    ("annotation", "field", "good", "bad"),
    [
        (int, Input(ge=1), "1", "0"),
        (int, Input(le=1), "1", "2"),
        (int, Input(gt=1), "2", "1"),
        (float, Input(lt=1), "0.5", "1"),
        (int | None, Input(ge=1), "null", "0"),
        (int | str, Input(ge=1), '"a"', "0"),
        (decimal.Decimal, Input(ge=1), '"1.5"', '"0.5"'),
        (Age, Input(ge=1), "1", "0"),
        (str, Input(min_length=2), '"ab"', '"a"'),
        (list[int], Input(max_length=1), "[1]", "[1,2]"),
        (str, Input(regex="^a+$"), '"aa"', '"ab"'),
        (str, Input(regex="b"), '"abc"', '"a"'),
        (str, Input(regex="a(?=b)"), '"ab"', '"ac"'),
        (str, Input(choices=["a", "b"]), '"a"', '"c"'),
        (int, Input(choices=[1, 2]), "2", "3"),
        (float, Input(choices=[1, 2.5]), "2.5", "3"),
        (str | None, Input(choices=["a"]), "null", '"c"'),
        (Annotated[int, Input(ge=1)], ..., "1", "0"),
    ],
)
def test_the_limits_of_an_input_hold(annotation: Any, field: Any, good: str, bad: str) -> None:
    signature = signature_of(annotation, field)

    signature.decode_input(b'{"x":%s}' % good.encode())

    with pytest.raises(InputError):
        signature.decode_input(b'{"x":%s}' % bad.encode())


@pytest.mark.parametrize(
    ("annotation", "default", "message"),
    [
        (str, Input(ge=1), r"parameter `x`: ge=1 needs a number; the annotation is str"),
        (int, Input(max_length=1), "max_length=1 needs text or a collection"),
        (int, Input(regex="a"), "regex needs text"),
        (str, Input(regex="("), "is not a regular expression"),
        (str, Input(choices=[]), "choices is empty"),
        (str, Input(choices=["a", 1]), "choices has 1, which is not str"),
        (
            int,
            Input(ge=1, choices=[1, 0]),
            "choices has 0, which the limits beside it do not allow: Input should",
        ),
        (Colour, Input(choices=["red"]), "choices needs the annotation str"),
        (int | str, Input(choices=["a"]), "choices needs the annotation str"),
        (int, Input(0, ge=1), "the default 0, which does not fit: expected at least 1"),
        (str, Input("z", choices=["a", "b"]), "does not fit: expected 'a' or 'b'"),
        (int, "three", "the default 'three', which does not fit: expected an integer"),
        (int, pydantic.Field(default=1), "its default is a pydantic Field; use servekit.Input"),
        (int, Input(5, ge=cast("Any", "a")), "`x`: ge='a' is of type str; it must be a number"),
        (int, Input(5, lt=math.nan), "`x`: lt=nan is of type float; it must be a number"),
        (
            str,
            Input(min_length=cast("Any", "2")),
            "min_length='2' is of type str; it must be a whole number, 0 or more",
        ),
        (str, Input(max_length=-1), "max_length=-1 is of type int; it must be a whole number, 0 or more"),
        (str, Input(regex=cast("Any", 5)), "regex=5 is of type int; it must be text"),
        (Callable[[], int], ..., r"cannot be an input \(a function cannot be sent as JSON\); what works: str, int"),
        (
            Plain,
            ...,
            r"`x` is annotated .*Plain, which cannot be an input \(what a Plain is in JSON .* a dataclass\)",
        ),
        (list[Plain], ..., r"list\[.*Plain\], which cannot be an input \(what a Plain is in JSON"),
        (np.ndarray, ..., "annotated numpy.ndarray, which cannot be an input"),
        (Iterator[int], ..., "cannot be an input"),
        (pathlib.Path, ..., "annotate it with servekit.Path"),
        (list[pathlib.Path], ..., "annotate it with servekit.Path"),
        (pydantic.FilePath, ..., "annotate it with servekit.Path"),
        ("NoSuchName", ..., "annotation cannot be read: name 'NoSuchName' is not defined"),
        (5, ..., "annotated 5|cannot be read"),
    ],
)
def test_what_cannot_be_an_input_is_named_with_the_reason(annotation: Any, default: Any, message: str) -> None:
    with pytest.raises(SignatureError, match=message):
        signature_of(annotation, default)


def test_parameters_that_cannot_be_passed_by_name_are_refused() -> None:
    def star(*args: int) -> None: ...
    def stars(**kwargs: int) -> None: ...
    def positional(x: int, /) -> None: ...

    for function, message in ((star, r"`\*args: int`"), (stars, r"`\*\*kwargs: int`"), (positional, "positional only")):
        with pytest.raises(SignatureError, match=message):
            inspect_signature(function, "p")


@pytest.mark.parametrize("annotation", [Callable[[], int], Plain, list[Plain]])
def test_a_refused_annotation_says_nothing_of_pydantics_inside(annotation: Any) -> None:
    with pytest.raises(SignatureError, match="what works") as caught:
        signature_of(annotation)

    assert not re.search(r"core.schema|JsonSchema|generate", str(caught.value))


def test_a_function_with_self_is_told_that_it_looks_like_a_method() -> None:
    def predict(self, x: int) -> None: ...  # type: ignore[no-untyped-def]  # noqa: ANN001 - it is what is tested

    with pytest.raises(SignatureError, match=r"first parameter is `self`, so it looks like a method; name its class"):
        inspect_signature(cast("Callable[..., None]", predict), "predict.py:predict")


def test_a_parameter_without_an_annotation_is_named() -> None:
    def predict(text, n: int = 1) -> None: ...  # type: ignore[no-untyped-def]  # noqa: ANN001 - it is what is tested

    with pytest.raises(SignatureError, match="parameter `text` has no annotation; write `text: str`"):
        inspect_signature(cast("Callable[..., None]", predict), "p")


def test_a_path_input_is_resolved_at_any_depth(tmp_path: pathlib.Path) -> None:
    decoded = decode(dict[str, list[Path]], '{"a":["known:1"]}', Files(tmp_path))

    assert decoded == {"a": [tmp_path / "1"]}
    assert type(decoded["a"][0]) is Path


def test_a_file_that_cannot_be_had_is_a_problem_at_its_place(tmp_path: pathlib.Path) -> None:
    problems = problems_of(lambda: decode(list[Path], '["known:1","/etc/passwd"]', Files(tmp_path)))

    assert problems == [{"loc": ["input", "x", 1], "msg": "not a file", "type": "file", "value": "/etc/passwd"}]


def test_a_default_url_for_a_file_is_resolved_for_each_prediction(tmp_path: pathlib.Path) -> None:
    signature = signature_of(Path, Input("known:d"))

    assert signature.decode_input(b"{}", Files(tmp_path)) == {"x": tmp_path / "d"}


def test_a_default_path_of_the_author_is_used_as_it_is() -> None:
    signature = signature_of(Path, Path("/model/cat.png"))

    assert signature.decode_input(b"{}") == {"x": Path("/model/cat.png")}
    assert "default" not in signature.input_schema["properties"]["x"]


@pytest.mark.parametrize("annotation", [Path, File, list[Path], dict[str, Path | None]])
def test_a_signature_says_that_it_uses_files(annotation: Any) -> None:
    assert signature_of(annotation).uses_files


@pytest.mark.parametrize("annotation", [Secret, list[Secret], Login, Login | None, pydantic.SecretStr])
def test_a_signature_says_that_it_has_secrets(annotation: Any) -> None:
    assert signature_of(annotation).has_secrets


def test_a_plain_signature_has_neither_files_nor_secrets() -> None:
    signature = signature_of(dict[str, int])

    assert (signature.uses_files, signature.has_secrets) == (False, False)


def test_path_and_secret_have_their_schemas() -> None:
    def predict(image: Path, key: Secret = Input("tiger")) -> None: ...

    properties = inspect_signature(predict, "p").input_schema["properties"]

    assert properties["image"] == {"title": "Image", "type": "string", "format": "uri", "x-order": 0}
    assert properties["key"] == {
        "title": "Key",
        "type": "string",
        "format": "password",
        "writeOnly": True,
        "x-servekit-secret": True,
        "x-order": 1,
    }


@pytest.mark.parametrize(
    ("annotation", "given"),
    [
        (Login, '{"token":"tiger","user":5}'),
        (list[Login], '["tiger"]'),
        (Login | int, '{"token":["tiger"]}'),
        (Secret, '{"a":"tiger"}'),
        (Login, '{"tokn":"tiger"}'),
    ],
)
def test_an_error_never_shows_a_secret(annotation: Any, given: str) -> None:
    signature = signature_of(annotation)

    with pytest.raises(InputError) as caught:
        signature.decode_input(b'{"x":%s,"y":"tiger"}' % given.encode())

    shown = f"{caught.value} {caught.value.problems} {caught.value.__cause__}"
    assert "tiger" not in shown


def test_a_validator_of_the_author_says_its_own_sentence() -> None:
    def must_be_even(value: int) -> int:
        if value % 2:
            raise ValueError("odd numbers are not taken")
        return value

    [problem] = problems_of(lambda: decode(Annotated[int, pydantic.AfterValidator(must_be_even)], "3"))

    assert problem == {"loc": ["input", "x"], "msg": "odd numbers are not taken", "type": "value", "value": 3}


def test_a_secret_given_as_text_by_an_authors_model_is_not_in_the_schema() -> None:
    class Careless(pydantic.BaseModel):
        token: Secret = "tiger"  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
        maybe: Secret | None = "tiger"  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]

    assert "tiger" not in json.dumps(signature_of(Careless).input_schema)


def test_a_default_model_is_not_shared_between_predictions() -> None:
    signature = signature_of(Box, Box(x=1))

    signature.decode_input(b"{}")["x"].x = 5

    assert signature.decode_input(b"{}") == {"x": Box(x=1)}


def test_a_signature_that_a_decorator_sets_counts() -> None:
    def predict(**inputs: Any) -> str:
        return str(inputs)

    parameter = inspect.Parameter("x", inspect.Parameter.KEYWORD_ONLY, annotation=int)
    vars(predict)["__signature__"] = inspect.Signature([parameter], return_annotation=str)
    signature = inspect_signature(predict, "predict.py:run")

    assert signature.input_schema["properties"]["x"]["type"] == "integer"
    assert signature.decode_input(b'{"x":3}') == {"x": 3}


def test_limits_beside_choices_say_no_more_than_the_choices() -> None:
    plain, limited = Input(choices=[1, 2]), Input(ge=1, le=4, choices=[1, 2])

    assert signature_of(int, limited).input_schema == signature_of(int, plain).input_schema
