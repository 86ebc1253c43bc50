"""What a Cog project takes and gives is the same on the command line and over HTTP.

One runner has an input for every case, so that one server and a few commands show them all.
"""

import json
import subprocess
import sys
import sysconfig
from collections.abc import Generator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from cog_projects import write_cog_project
from serving import Server

SERVEKIT: Final = str(Path(sysconfig.get_path("scripts")) / "servekit")
SECONDS: Final = 60
TEXT_FILE: Final = "data:text/plain;base64,aGVsbG8="
"""A file that says hello."""

PREAMBLE = """
    from dataclasses import dataclass
    from datetime import date, datetime
    from decimal import Decimal
    from enum import Enum
    from pathlib import Path as FilePath
    from typing import *

    import numpy
    import pydantic
    from cog import BaseModel, BaseRunner, File, Input, Opaque, Path, Secret

    class Colour(Enum):
        RED = "red"
        BLUE = "blue"

    @dataclass
    class Point:
        x: int
        y: int = 0

    class Model(pydantic.BaseModel):
        name: str
        point: Optional[Point] = None

    class CogModel(BaseModel):
        name: str
        size: int

    class Payload(TypedDict):
        name: str
        size: NotRequired[int]

    def show(value):
        if isinstance(value, list):
            return [show(each) for each in value]
        if isinstance(value, FilePath):
            return f"file {value.read_text()}"
        return f"open file {value.read().decode()}" if hasattr(value, "read") else repr(value)
"""

TAKEN: Final[dict[str, tuple[str, Any, Any]]] = {
    # the name of the input: its declaration, what is sent, what `run` gets
    "text": ("str = 'd'", "a b", "'a b'"),
    "empty_text": ("str = 'd'", "", "''"),
    "text_of_other_letters": ("str = 'd'", "Grüße ☃", "'Grüße ☃'"),
    "text_of_two_lines": ("str = 'd'", "a\nb", "'a\\nb'"),
    "text_like_a_url": ("str = 'd'", "https://example.com/a.png", "'https://example.com/a.png'"),
    "text_like_data": ("str = 'd'", TEXT_FILE, f"'{TEXT_FILE}'"),
    "text_like_a_number": ("str = 'd'", "007", "'007'"),
    "text_like_null": ("str = 'd'", "null", "'null'"),
    "number": ("int = 0", 3, "3"),
    "negative": ("int = 0", -3, "-3"),
    "large": ("int = 0", 2**53, str(2**53)),
    "whole_float": ("int = 0", 3.0, "3"),
    "real": ("float = 0", 1.5, "1.5"),
    "real_of_a_whole": ("float = 0", 1, "1.0"),
    "yes": ("bool = False", True, "True"),
    "no": ("bool = True", False, "False"),
    "path": ("Path = None", TEXT_FILE, "file hello"),
    "any_path": ("FilePath = None", TEXT_FILE, "file hello"),
    "file": ("File = None", TEXT_FILE, "open file hello"),
    "paths": ("list[Path] = None", [TEXT_FILE, TEXT_FILE], ["file hello", "file hello"]),
    "optional_path": ("Optional[Path] = None", TEXT_FILE, "file hello"),
    "secret": ("Secret = None", "s3cret", "Secret(**********)"),
    "optional_text": ("Optional[str] = 'd'", "a", "'a'"),
    "optional_null": ("Optional[str] = 'd'", None, "None"),
    "bar_null": ("int | None = 1", None, "None"),
    "texts": ("list[str] = []", ["a", "b"], ["'a'", "'b'"]),
    "one_text": ("list[str] = []", ["a"], ["'a'"]),
    "texts_like_urls": ("list[str] = []", ["https://example.com/"], ["'https://example.com/'"]),
    "no_texts": ("list[str] = ['d']", [], []),
    "old_list": ("List[int] = []", [1, 2], ["1", "2"]),
    "bare_list": ("list = []", [1, "a", None], ["1", "'a'", "None"]),
    "nested_list": ("list[list[int]] = []", [[1], [2, 3]], [["1"], ["2", "3"]]),
    "optional_list": ("Optional[list[int]] = None", [1], ["1"]),
    "object": ("dict = {}", {"a": [1, {"b": None}]}, "{'a': [1, {'b': None}]}"),
    "typed_object": ("dict[str, int] = {}", {"a": 1}, "{'a': 1}"),
    "typed_dict": ("Payload = None", {"name": "a"}, "{'name': 'a'}"),
    "objects": ("list[dict] = []", [{"a": 1}], ["{'a': 1}"]),
    "anything": ("Any = None", {"a": 1}, "{'a': 1}"),
    "anything_else": ("Any = None", 3, "3"),
    "opaque": ("Annotated[Point, Opaque] = None", {"free": True}, "{'free': True}"),
    "opaque_list": ("list[Annotated[Point, Opaque]] = []", [{"free": 1}], ["{'free': 1}"]),
    "union_text": ("str | float = 0", "hello", "'hello'"),
    "union_float": ("str | float = 0", 1.5, "1.5"),
    "union_whole": ("str | float = 0", 1, "1"),
    "union_list": ("list[int] | str = ''", [1], ["1"]),
    "union_empty_list": ("list[int] | str = ''", [], []),
    "union_object": ("dict | int = 0", {"a": 1}, "{'a': 1}"),
    "choice": ("str = Input(default='a', choices=['a', 'b'])", "b", "'b'"),
    "number_choice": ("int = Input(default=1, choices=[1, 2])", 2, "2"),
    "least": ("int = Input(default=5, ge=0, le=9)", 0, "0"),
    "most": ("int = Input(default=5, ge=0, le=9)", 9, "9"),
    "limited_float": ("float = Input(default=0.5, ge=0, le=1)", 0.25, "0.25"),
    "shortest": ("str = Input(default='abc', min_length=2, max_length=3)", "ab", "'ab'"),
    "pattern": ("str = Input(default='ab', regex='^[a-z]+$')", "xyz", "'xyz'"),
    "old": ("int = Input(default=1, deprecated=True)", 2, "2"),
    "literal": ("Literal['a', 1] = 'a'", 1, "1"),
    "enumeration": ("Colour = Colour.RED", "blue", "<Colour.BLUE: 'blue'>"),
    "structure": ("Point = None", {"x": 1}, "Point(x=1, y=0)"),
    "model": ("Model = None", {"name": "a", "point": {"x": 1}}, "Model(name='a', point=Point(x=1, y=0))"),
    "cog_model": ("CogModel = None", {"name": "a", "size": 1}, "CogModel(name='a', size=1)"),
    "pair": ("tuple[int, str] = (0, '')", [1, "a"], "(1, 'a')"),
    "distinct": ("set[int] = set()", [1], "{1}"),
    "day": ("date = None", "2026-01-02", "datetime.date(2026, 1, 2)"),
}

REFUSED: Final[dict[str, tuple[str, Any, str]]] = {
    # the name of the input: its declaration, what is sent, the place of the fault below the input
    "text_of_a_number": ("str = 'd'", 1, ""),
    "text_null": ("str = 'd'", {}, ""),
    "number_of_text": ("int = 0", "3", ""),
    "number_of_a_truth": ("int = 0", True, ""),
    "number_with_a_fraction": ("int = 0", 1.5, ""),
    "truth_of_a_number": ("bool = False", 1, ""),
    "truth_of_text": ("bool = False", "true", ""),
    "real_of_text": ("float = 0", "1.5", ""),
    "path_of_a_number": ("Path = None", 1, ""),
    "secret_of_a_number": ("Secret = None", 1, ""),
    "list_of_a_text": ("list[str] = []", "a", ""),
    "list_of_others": ("list[int] = []", [1, "2"], "/1"),
    "object_of_a_list": ("dict = {}", [1], ""),
    "typed_object_of_text": ("dict[str, int] = {}", {"a": "b"}, "/a"),
    "union_of_neither": ("str | float = 0", {"a": 1}, ""),
    "union_of_a_truth": ("str | float = 0", True, ""),
    "union_list_of_others": ("list[int] | str = ''", ["3"], "/0"),
    "union_list_of_truths": ("list[int] | str = ''", [True], "/0"),
    "no_choice": ("str = Input(default='a', choices=['a', 'b'])", "c", ""),
    "no_number_choice": ("int = Input(default=1, choices=[1, 2])", 3, ""),
    "below": ("int = Input(default=5, ge=0, le=9)", -1, ""),
    "above": ("int = Input(default=5, ge=0, le=9)", 10, ""),
    "float_above": ("float = Input(default=0.5, ge=0, le=1)", 1.01, ""),
    "too_short": ("str = Input(default='abc', min_length=2, max_length=3)", "a", ""),
    "too_long": ("str = Input(default='abc', min_length=2, max_length=3)", "abcd", ""),
    "no_match": ("str = Input(default='ab', regex='^[a-z]+$')", "ABC", ""),
    "no_literal": ("Literal['a', 1] = 'a'", "b", ""),
    "no_member": ("Colour = Colour.RED", "green", ""),
    "structure_of_text": ("Point = None", {"x": "a"}, "/x"),
    "structure_without_a_field": ("Point = None", {"y": 1}, "/x"),
    "model_of_text": ("Model = None", "a", ""),
    "pair_of_one": ("tuple[int, str] = (0, '')", [1], ""),
}

REFUSED_BY_VALUE: Final[dict[str, tuple[str, Any, str]]] = {
    # likewise; these have the form of the schema, so they are looked at after all others
    "path_on_the_server": ("Path = None", "/etc/hostname", ""),
    "path_of_a_scheme": ("Path = None", "file:///etc/hostname", ""),
    "path_of_broken_data": ("Path = None", "data:text/plain;base64,%", ""),
    "no_day": ("date = None", "yesterday", ""),
}
ALL_REFUSED: Final = {**REFUSED, **REFUSED_BY_VALUE}

GIVEN: Final[dict[str, tuple[str, Any]]] = {
    # what `run` returns, and what a client gets
    "'a'": ("'a'", "a"),
    "3": ("3", 3),
    "1.5": ("1.5", 1.5),
    "True": ("True", True),
    "a list": ("[1, 'a', None]", [1, "a", None]),
    "a tuple": ("(1, 'a')", [1, "a"]),
    "a set": ("{1}", [1]),
    "a generator": ("(n for n in [1, 2])", [1, 2]),
    "a map": ("map(str, [1, 2])", ["1", "2"]),
    "a dict": ("{'a': {'b': [1]}}", {"a": {"b": [1]}}),
    "a path": ("Path(self.file)", TEXT_FILE),
    "paths": ("[Path(self.file)]", [TEXT_FILE]),
    "a path inside": ("{'file': Path(self.file)}", {"file": TEXT_FILE}),
    "an open file": ("open(self.file, 'rb')", TEXT_FILE),
    "a dataclass": ("Point(1, 2)", {"x": 1, "y": 2}),
    "a model": ("Model(name='a')", {"name": "a", "point": None}),
    "a model of Cog": ("CogModel(name='a', size=1)", {"name": "a", "size": 1}),
    "a member": ("Colour.RED", "red"),
    "a time": ("datetime(2026, 1, 2, 3, 4)", "2026-01-02T03:04:00"),
    "a day": ("date(2026, 1, 2)", "2026-01-02"),
    "a decimal": ("Decimal('1.50')", "1.50"),
    "a scalar of numpy": ("numpy.float32(0.5)", 0.5),
    "an array": ("numpy.arange(4).reshape(2, 2)", [[0, 1], [2, 3]]),
    "a secret": ("Secret('s3cret')", "**********"),
    "bytes": ("b'hi'", "aGk="),
    "a large text": ("'x' * 9_000_000", "x" * 9_000_000),
}
NOT_TOGETHER: Final = {"a generator", "a map", "a path", "paths", "a path inside", "an open file", "a large text"}
"""What is a list only by itself, what the command writes into files, and what nobody wants to read."""

UNWRITABLE: Final = {
    # what `run` returns, and how the error begins
    "NaN": ("float('nan')", "the output does not fit: got nan"),
    "a type": ("Point", "the output does not fit: "),
    "a function": ("print", "the output does not fit: "),
    "a missing file": ("Path('/nowhere/a.txt')", "the output does not fit: the file /nowhere/a.txt cannot be read"),
}


def _write_code() -> str:
    inputs = {name: declaration for cases in (TAKEN, ALL_REFUSED) for name, (declaration, *_) in cases.items()}
    parameters = "".join(f"{name}: {_make_optional(declaration)}, " for name, declaration in inputs.items())
    outputs = {name: code for cases in (GIVEN, UNWRITABLE) for name, (code, _) in cases.items()}
    branches = "".join(f"\n                case {name!r}: return {code}" for name, code in outputs.items())
    everything = ", ".join(f"{name!r}: {code}" for name, (code, _) in GIVEN.items() if name not in NOT_TOGETHER)
    return f"""{PREAMBLE}
    class Runner(BaseRunner):
        def setup(self):
            self.file = FilePath(__file__).with_name("hello.txt")
            self.file.write_text("hello")

        def run(self, {parameters}give: str = "", names: list[str] = []) -> Any:
            values = locals()
            match give:
                case "": return {{name: show(values[name]) for name in names}}
                case "everything": return {{{everything}}}{branches}
    """


def _make_optional(declaration: str) -> str:
    """Let an input without a default be left out, which in Cog a default of None does not."""
    annotation, _, default = declaration.partition(" = ")
    return f"Optional[{annotation}] = None" if default == "None" and "Optional" not in annotation else declaration


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("project")
    write_cog_project(root, _write_code())
    return root


@pytest.fixture(scope="module")
def client(project: Path) -> Generator[httpx.Client]:
    command = (sys.executable, "-P", "-m", "servekit.server", f"--spec={project}", "--host=127.0.0.1", "--port=0")
    with closing(Server(project, *command)) as server:
        server.wait_until_ready()
        with server.client() as client:
            yield client


def predict(project: Path, values: Mapping[str, Any], *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [SERVEKIT, "predict", "--json", "@-", *arguments],
        cwd=project,
        input=json.dumps(values),
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )


@pytest.fixture(scope="module")
def taken_by_command(project: Path) -> Mapping[str, Any]:
    values = {name: value for name, (_, value, _) in TAKEN.items()}
    done = predict(project, {**values, "names": list(values)})
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout)["output"])


@pytest.mark.parametrize("name", TAKEN)
def test_an_input_is_taken_over_http(client: httpx.Client, name: str) -> None:
    _, value, expected = TAKEN[name]

    answer = client.post("/predictions", json={"input": {name: value, "names": [name]}}).json()

    assert answer["output"] == {name: expected}


@pytest.mark.parametrize("name", TAKEN)
def test_an_input_is_taken_by_the_command(taken_by_command: Mapping[str, Any], name: str) -> None:
    assert taken_by_command[name] == TAKEN[name][2]


@pytest.fixture(scope="module")
def refused_by_command(project: Path) -> str:
    text = ""
    for cases in (REFUSED, REFUSED_BY_VALUE):
        done = predict(project, {name: value for name, (_, value, _) in cases.items()})
        assert (done.returncode, done.stdout) == (2, "")
        text += done.stderr
    return text


@pytest.mark.parametrize("name", ALL_REFUSED)
def test_an_input_is_refused_over_http_with_its_place(client: httpx.Client, name: str) -> None:
    _, value, place = ALL_REFUSED[name]

    answer = client.post("/predictions", json={"input": {name: value}})

    assert answer.status_code == 422
    (problem,) = answer.json()["detail"]
    assert "/".join(map(str, problem["loc"])) == f"body/input/{name}{place}"


@pytest.mark.parametrize("name", ALL_REFUSED)
def test_an_input_is_refused_by_the_command(refused_by_command: str, name: str) -> None:
    assert name in refused_by_command


@pytest.mark.parametrize("name", GIVEN)
def test_an_output_is_given_over_http(client: httpx.Client, name: str) -> None:
    answer = client.post("/predictions", json={"input": {"give": name}}).json()

    assert (answer["status"], answer["output"]) == ("succeeded", GIVEN[name][1])


@pytest.fixture(scope="module")
def given_by_command(project: Path) -> Mapping[str, Any]:
    done = predict(project, {"give": "everything"})
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout)["output"])


@pytest.mark.parametrize("name", [name for name in GIVEN if name not in NOT_TOGETHER])
def test_an_output_is_given_by_the_command(given_by_command: Mapping[str, Any], name: str) -> None:
    assert given_by_command[name] == GIVEN[name][1]


@pytest.mark.parametrize("name", UNWRITABLE)
def test_an_output_that_json_cannot_hold_fails_over_http(client: httpx.Client, name: str) -> None:
    answer = client.post("/predictions", json={"input": {"give": name}}).json()

    assert answer["status"] == "failed"
    assert answer["error"].startswith(UNWRITABLE[name][1])
