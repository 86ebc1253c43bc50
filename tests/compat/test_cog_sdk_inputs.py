"""Inputs of a Cog project: what `Input(...)` and annotations mean, and what `run` gets."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from servekit import types as own_types
from servekit.compat import cog
from servekit.errors import FileFetchError, InputError, SignatureError
from servekit.schema import InputChecker
from servekit.signature import Signature

Read = Callable[..., Signature]
ReadInput = Callable[[str], dict[str, Any]]


class Files:
    """Takes each URL for the name of a file."""

    def resolve(self, value: str) -> Path:
        if not value.startswith("https://"):
            message = f"{value} is not a file"
            raise FileFetchError(message)
        return Path(value.removeprefix("https://x.org"))


def decode(signature: Signature, **values: Any) -> dict[str, Any]:
    raw = json.dumps(values).encode()
    InputChecker(signature.input_schema).check(raw)
    return signature.decode_input(raw, Files())


def test_input_returns_a_frozen_field_info() -> None:
    info = cog.Input(description="d", ge=1)

    assert isinstance(info, cog.FieldInfo)
    assert info == cog.FieldInfo(description="d", ge=1)
    with pytest.raises(AttributeError):
        info.ge = 2  # type: ignore[misc]


def test_a_default_may_be_given_by_position() -> None:
    assert cog.Input(5).default == 5


def test_default_factory_is_refused() -> None:
    with pytest.raises(TypeError, match=r"default_factory is not supported in Input\(\)"):
        cog.Input(default_factory=list)


# ---------------------------------------------------------------------- required or not

REQUIRED = [
    "x: int",
    "x: int = Input()",
    "x: int = Input(description='d')",
    "x: Secret",
    "x: Secret = Input(description='d')",
    "x: str | float",
]
OPTIONAL = [
    "x: int = 1",
    "x: int = Input(1)",
    "x: int = Input(default=1)",
    "x: Optional[int]",
    "x: Optional[int] = Input()",
    "x: Optional[int] = Input(default=None)",
    "x: int | None = None",
    "x: list[str] = []",
    "x: int = Input(default=None)",
    "x: int = None",
    "x: Path = Input(default=None)",
    "x: list[str] = Input(default=None)",
    "x: dict = Input(default=None)",
    "x: Secret = Input(default=None)",
    "x: Secret = None",
    "x: Optional[Secret] = Input()",
    "x: str | float | None",
    "x: Optional[list[Path]]",
]


@pytest.mark.parametrize("declaration", REQUIRED)
def test_an_input_without_a_default_of_its_kind_is_required(read_runner: Read, declaration: str) -> None:
    signature = read_runner(declaration)

    assert signature.input_schema["required"] == ["x"]
    assert "default" not in signature.input_schema["properties"]["x"]


@pytest.mark.parametrize("declaration", OPTIONAL)
def test_an_input_with_a_default_or_that_may_be_none_can_be_left_out(read_runner: Read, declaration: str) -> None:
    signature = read_runner(declaration)

    assert "required" not in signature.input_schema
    assert list(decode(signature)) == ["x"]


@pytest.mark.parametrize("declaration", ["x: Optional[int]", "x: Secret = None", "x: str | float | None = None"])
def test_null_is_taken_where_none_is_the_default(read_runner: Read, declaration: str) -> None:
    assert decode(read_runner(declaration), x=None) == {"x": None}


def test_null_is_refused_elsewhere(read_runner: Read) -> None:
    with pytest.raises(InputError, match="expected an integer, got null"):
        decode(read_runner("x: int = 3"), x=None)


# ---------------------------------------------------------------------- limits and choices

LIMITS: dict[str, tuple[str, dict[str, Any], Any, str]] = {
    "ge": ("x: int = Input(ge=1)", {"minimum": 1}, 0, "at least 1"),
    "le": ("x: float = Input(le=2.5)", {"maximum": 2.5}, 3, "at most 2.5"),
    "min_length": ("x: str = Input(min_length=2)", {"minLength": 2}, "a", "at least 2 characters"),
    "max_length": ("x: str = Input(max_length=2)", {"maxLength": 2}, "abc", "at most 2 characters"),
    "regex": ("x: str = Input(regex='^a+$')", {"pattern": "^a+$"}, "b", r"text that matches \^a\+\$"),
    "choices of text": ("x: str = Input(choices=['a', 'b'])", {"enum": ["a", "b"]}, "c", "'a' or 'b'"),
    "choices of numbers": ("x: int = Input(choices=[1, 2])", {"enum": [1, 2]}, 3, "1 or 2"),
    "choices made at run time": ("x: str = Input(choices={'a': 1, 'b': 2}.keys())", {"enum": ["a", "b"]}, "c", "'b'"),
}


@pytest.mark.parametrize(("declaration", "part", "value", "message"), LIMITS.values(), ids=LIMITS)
def test_a_limit_is_in_the_schema_and_is_kept(
    read_runner: Read, declaration: str, part: dict[str, Any], value: object, message: str
) -> None:
    signature = read_runner(declaration)

    assert part.items() <= signature.input_schema["properties"]["x"].items()
    with pytest.raises(InputError, match=message):
        decode(signature, x=value)


USELESS: dict[str, tuple[str, dict[str, Any], Any]] = {
    "a number's limit for text": ("x: str = Input(ge=1)", {"minimum": 1}, "a"),
    "a number's limit for a list": ("x: list[int] = Input(le=1)", {"maximum": 1}, [5]),
    "a length for a number": ("x: int = Input(max_length=1)", {"maxLength": 1}, 100),
    "a pattern for a file": ("x: Path = Input(regex='a')", {"pattern": "a"}, "https://x.org/a"),
    "limits beside choices": ("x: int = Input(ge=1, le=9, choices=[1, 5])", {"minimum": 1, "maximum": 9}, 5),
}


@pytest.mark.parametrize(("declaration", "part", "value"), USELESS.values(), ids=USELESS)
def test_a_limit_that_cannot_apply_is_shown_and_has_no_effect(
    read_runner: Read, declaration: str, part: dict[str, Any], value: object
) -> None:
    signature = read_runner(declaration)

    assert part.items() <= signature.input_schema["properties"]["x"].items()
    assert set(decode(signature, x=value)) == {"x"}


@pytest.mark.parametrize("limit", ["ge='a'", "min_length=-1", "regex='('"])
def test_a_limit_that_is_none_is_refused(read_input: ReadInput, limit: str) -> None:
    with pytest.raises(SignatureError, match="parameter `x`: "):
        read_input(f"x: int = Input({limit})")


def test_deprecated_and_description_are_shown(read_input: ReadInput) -> None:
    schema = read_input("x: int = Input(default=1, description='d', deprecated=True)")

    assert (schema["description"], schema["deprecated"]) == ("d", True)


@pytest.mark.parametrize("annotation", ["Path", "File", "list[Path]", "Optional[Path]", "pathlib.Path"])
def test_accept_is_shown_for_files(read_input: ReadInput, annotation: str) -> None:
    assert read_input(f"x: {annotation} = Input(accept='image/*,.png')")["x-cog-accept"] == "image/*,.png"


@pytest.mark.parametrize("annotation", ["str", "list[str]", "dict"])
def test_accept_is_refused_elsewhere(read_input: ReadInput, annotation: str) -> None:
    with pytest.raises(SignatureError, match="parameter `x`: accept is only valid on Path or File inputs"):
        read_input(f"x: {annotation} = Input(accept='image/*')")


def test_a_default_that_its_own_limits_refuse_is_an_error_at_once(read_input: ReadInput) -> None:
    with pytest.raises(SignatureError, match="default 0, which does not fit: expected at least 1"):
        read_input("x: int = Input(default=0, ge=1)")


# ---------------------------------------------------------------------- what run gets

VALUES: dict[str, tuple[str, Any, Any]] = {
    "int": ("int", 3, 3),
    "a whole float for an int": ("int", 3.0, 3),
    "dict": ("dict", {"a": [1]}, {"a": [1]}),
    "Dict[str, Any]": ("Dict[str, Any]", {"a": None}, {"a": None}),
    "Any": ("Any", "text", "text"),
    "list of dicts": ("list[dict]", [{"a": 1}], [{"a": 1}]),
    "bare list": ("list", [1, "a"], [1, "a"]),
    "text in a union": ("str | float", "hello", "hello"),
    "a float in a union": ("str | float", 1.5, 1.5),
    "an int stays one in a union": ("str | float", 1, 1),
    "an int stays one in an optional union": ("str | float | None", 1, 1),
    "ints in a union of lists": ("list[int] | list[float]", [1], [1]),
    "floats in a union of lists": ("list[int] | list[float]", [1.5], [1.5]),
    "an empty list in a union of lists": ("list[int] | list[float]", [], []),
    "text that looks like a URL": ("str", "https://x.org/a.png", "https://x.org/a.png"),
    "texts that look like URLs": ("list[str]", ["https://x.org/a.png"], ["https://x.org/a.png"]),
    "text that looks like a URL and may be none": ("str | None", "https://x.org/a", "https://x.org/a"),
    "opaque": ("Annotated[Foreign, Opaque]", {"a": {"b": 1}}, {"a": {"b": 1}}),
    "list of opaque": ("Annotated[List[Foreign], Opaque]", [{"a": 1}], [{"a": 1}]),
    "optional opaque": ("Annotated[Optional[Foreign], Opaque]", None, None),
    "typed dict": ("Payload", {"name": "a", "size": 1}, {"name": "a", "size": 1}),
    "list of typed dicts": ("list[Payload]", [{"name": "a"}], [{"name": "a"}]),
    "literal": ("Literal['a', 'b']", "a", "a"),
    "nested list": ("list[list[int]]", [[1], [2]], [[1], [2]]),
    "list of optionals": ("list[Optional[int]]", [1, None], [1, None]),
}


@pytest.mark.parametrize(("annotation", "sent", "got"), VALUES.values(), ids=VALUES)
def test_run_gets_what_was_sent(read_runner: Read, annotation: str, sent: object, got: object) -> None:
    value = decode(read_runner(f"x: {annotation}"), x=sent)["x"]

    assert value == got
    assert type(value) is type(got)


@pytest.mark.parametrize(
    ("annotation", "sent"),
    [
        ("int", "3"),
        ("int", True),
        ("bool", 1),
        ("str", 1),
        ("str | float", True),
        ("str | float", None),
        ("str | float", {"x": 1}),
        ("list[int] | list[float]", ["3"]),
        ("list[int] | list[float]", [True]),
        ("list[int] | list[float]", 1),
        ("Annotated[Foreign, Opaque]", "text"),
        ("dict", [1]),
    ],
)
def test_what_is_of_another_kind_is_refused(read_runner: Read, annotation: str, sent: object) -> None:
    with pytest.raises(InputError):
        decode(read_runner(f"x: {annotation}"), x=sent)


@pytest.mark.parametrize("annotation", ["Path", "Optional[Path]", "pathlib.Path", "pathlib.Path | None"])
def test_a_file_becomes_a_path_also_where_the_annotation_is_pathlib_s(read_runner: Read, annotation: str) -> None:
    path = decode(read_runner(f"x: {annotation}"), x="https://x.org/tmp/a.png")["x"]

    assert path == cog.Path("/tmp/a.png")
    assert isinstance(path, cog.Path)


@pytest.mark.parametrize(
    "annotation", ["list[Path]", "List[pathlib.Path]", "Optional[list[Path]]", "list[Path] | None"]
)
def test_files_become_a_list_of_paths(read_runner: Read, annotation: str) -> None:
    paths = decode(read_runner(f"x: {annotation}"), x=["https://x.org/a", "https://x.org/b"])["x"]

    assert paths == [cog.Path("/a"), cog.Path("/b")]


def test_a_place_on_the_server_is_no_file_of_the_client_s(read_runner: Read) -> None:
    with pytest.raises(InputError, match="/etc/hostname is not a file"):
        decode(read_runner("x: Path"), x="/etc/hostname")


def test_a_file_is_opened(read_runner: Read, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"content")

    with decode(read_runner("x: File"), x=f"https://x.org{tmp_path}/a.txt")["x"] as file:
        assert isinstance(file, io.IOBase)
        assert file.read() == b"content"


def test_a_secret_is_wrapped(read_runner: Read) -> None:
    secret = decode(read_runner("x: Secret"), x="s3cret")["x"]

    assert isinstance(secret, cog.Secret)
    assert isinstance(secret, own_types.Secret)
    assert secret.get_secret_value() == "s3cret"


def test_what_the_predictor_does_not_take_is_dropped(read_runner: Read) -> None:
    assert decode(read_runner("x: int"), x=1, p0=2, more={"a": 1}) == {"x": 1}


def test_servekit_s_own_input_works_as_well(read_input: ReadInput) -> None:
    schema = read_input("x: int = __import__('servekit').Input(default=1, gt=0)")

    assert (schema["default"], schema["exclusiveMinimum"]) == (1, 0)


# ---------------------------------------------------------------------- secrets


def test_a_secret_is_shown_nowhere() -> None:
    secret = cog.Secret(secret_value="s3cret")

    assert (str(secret), repr(secret), f"{secret}") == ("**********", "Secret(**********)", "**********")
    assert secret.secret_value == secret.get_secret_value() == "s3cret"


def test_a_secret_may_be_made_without_one() -> None:
    assert (str(cog.Secret()), cog.Secret().get_secret_value(), cog.Secret(None) == cog.Secret()) == ("", None, True)


def test_a_secret_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        cog.Secret("a").secret_value = "b"  # type: ignore[misc]
