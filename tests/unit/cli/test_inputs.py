import io
import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from servekit.errors import UsageError
from servekit_cli.inputs import PredictionInput, read_arguments

FILE = {"type": "string", "format": "uri"}
NULL = {"type": "null"}


def fit(schema: dict[str, Any], *pairs: str, json_text: str | None = None) -> PredictionInput:
    return read_arguments(pairs, json_text).fit({"type": "object", "properties": {"x": schema}})


def read(schema: dict[str, Any], *texts: str) -> Any:
    """Read `-i x=TEXT` for each text, and give what x became."""
    return json.loads(fit(schema, *(f"x={text}" for text in texts)).raw)["x"]


CASES: dict[str, tuple[dict[str, Any], str, Any]] = {
    "text is taken as it is": ({"type": "string"}, "3", "3"),
    "text may hold =": ({"type": "string"}, "a=b", "a=b"),
    "text may be empty": ({"type": "string"}, "", ""),
    "null is text where text is wanted": ({"anyOf": [{"type": "string"}, NULL]}, "null", "null"),
    "a whole number": ({"type": "integer"}, "3", 3),
    "a number": ({"type": "number"}, "2.5", 2.5),
    "true": ({"type": "boolean"}, "true", True),
    "True, as Python writes it": ({"type": "boolean"}, "True", True),
    "null for an optional number": ({"anyOf": [{"type": "integer"}, NULL]}, "null", None),
    "what is no number is left to the checker": ({"type": "integer"}, "many", "many"),
    "NaN is no JSON, and left to the checker": ({"type": "number"}, "NaN", "NaN"),
    "an object": ({"type": "object"}, '{"a": 1}', {"a": 1}),
    "number or text: a number": ({"anyOf": [{"type": "integer"}, {"type": "string"}]}, "3", 3),
    "number or text: text": ({"anyOf": [{"type": "integer"}, {"type": "string"}]}, "a", "a"),
    "anything: JSON": ({}, "[1]", [1]),
    "anything: text": ({}, "a b", "a b"),
    "one of some texts": ({"enum": ["1", "2"]}, "1", "1"),
    "one of some numbers": ({"enum": [1, 2]}, "1", 1),
    "a constant": ({"const": "1"}, "1", "1"),
    "a list of one": ({"type": "array", "items": {"type": "integer"}}, "1", [1]),
    "a list as JSON": ({"type": "array", "items": {"type": "integer"}}, "[1, 2]", [1, 2]),
    "a list of texts that look like numbers": ({"type": "array", "items": {"type": "string"}}, "1", ["1"]),
    "an optional list": ({"anyOf": [{"type": "array", "items": {"type": "string"}}, NULL]}, "null", None),
    "a URL for a file": (FILE, "https://example.org/a.png", "https://example.org/a.png"),
    "a data URL for a file": (FILE, "data:,hello", "data:,hello"),
}


@pytest.mark.parametrize(("schema", "text", "value"), CASES.values(), ids=CASES.keys())
def test_a_text_is_read_as_the_schema_wants_it(schema: dict[str, Any], text: str, value: Any) -> None:
    assert read(schema, text) == value


def test_repetition_makes_a_list() -> None:
    assert read({"type": "array", "items": {"type": "string"}}, "a", "b", "a") == ["a", "b", "a"]


def test_references_are_followed() -> None:
    schema = {
        "properties": {"x": {"$ref": "#/$defs/Size"}},
        "$defs": {"Size": {"enum": ["1"], "type": "string"}},
    }

    assert json.loads(read_arguments(["x=1"], None).fit(schema).raw) == {"x": "1"}


def test_repetition_of_what_is_no_list_is_refused() -> None:
    with pytest.raises(UsageError, match=r"-i x=\.\.\. is given 2 times, and x is no list"):
        read({"type": "string"}, "a", "b")


def test_an_unknown_name_is_left_to_the_checker_and_its_file_not_looked_for() -> None:
    assert json.loads(fit({}, "y=@/no/such/file").raw) == {"y": "@/no/such/file"}


@pytest.mark.parametrize("pair", ["prompt", "=value", " =value"])
def test_a_pair_without_name_or_value_is_refused(pair: str) -> None:
    with pytest.raises(UsageError, match="-i wants name=value"):
        read_arguments([pair], None)


def test_a_file_becomes_an_upload_with_its_own_name(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8")

    fitted = fit(FILE, f"x=@{tmp_path}/photo.jpg")

    token = json.loads(fitted.raw)["x"]
    assert token.startswith("upload:")
    assert token.endswith("/photo.jpg")
    assert fitted.uploads == {token: str(tmp_path / "photo.jpg")}


def test_several_files_become_a_list_of_uploads(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)

    fitted = fit({"type": "array", "items": FILE}, f"x=@{tmp_path}/a", f"x=@{tmp_path}/b")

    assert json.loads(fitted.raw)["x"] == list(fitted.uploads)
    assert list(fitted.uploads.values()) == [str(tmp_path / "a"), str(tmp_path / "b")]


def test_no_two_uploads_share_a_token(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")

    fitted = fit({"type": "array", "items": FILE}, f"x=@{tmp_path}/a", f"x=@{tmp_path}/a")

    assert len(fitted.uploads) == 2


def test_a_relative_file_is_found_from_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_text("a")
    monkeypatch.chdir(tmp_path)

    assert list(fit(FILE, "x=@a").uploads.values()) == [str(tmp_path / "a")]


def test_a_file_for_text_gives_its_text(tmp_path: Path) -> None:
    (tmp_path / "prompt.txt").write_text("a quiet läke\n", encoding="utf-8")

    assert read({"type": "string"}, f"@{tmp_path}/prompt.txt") == "a quiet läke\n"


def test_a_file_for_an_object_is_read_as_json(tmp_path: Path) -> None:
    (tmp_path / "options.json").write_text('{"a": [1]}')

    assert read({"type": "object"}, f"@{tmp_path}/options.json") == {"a": [1]}


def test_a_file_for_a_list_is_read_as_json(tmp_path: Path) -> None:
    (tmp_path / "list.json").write_text("[1, 2]")

    assert read({"type": "array", "items": {"type": "integer"}}, f"@{tmp_path}/list.json") == [1, 2]


def test_a_path_without_at_sign_is_refused_where_a_file_is_wanted() -> None:
    with pytest.raises(UsageError, match=r'"photo\.jpg" is neither @file nor a URL\.\nWrite -i x=@photo\.jpg'):
        read(FILE, "photo.jpg")


def test_a_missing_file_is_named() -> None:
    with pytest.raises(UsageError, match=r"-i x names the file nowhere\.png, which does not exist"):
        read(FILE, "@nowhere.png")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="which is a folder"):
        read(FILE, f"@{tmp_path}")


def test_bytes_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8")

    with pytest.raises(UsageError, match="which is not UTF-8 text"):
        read({"type": "string"}, f"@{tmp_path}/photo.jpg")


def test_json_gives_the_whole_input() -> None:
    assert json.loads(fit({}, json_text='{"x": [1], "y": null}').raw) == {"x": [1], "y": None}


def test_json_is_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "input.json").write_text('{"x": 1}')

    assert json.loads(fit({}, json_text=f"@{tmp_path}/input.json").raw) == {"x": 1}


@pytest.mark.parametrize("sign", ["-", "@-"])
def test_json_is_read_from_stdin(monkeypatch: pytest.MonkeyPatch, sign: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO('{"x": 1}'))

    assert json.loads(fit({}, json_text=sign).raw) == {"x": 1}


def test_a_pair_wins_over_json() -> None:
    assert json.loads(fit({"type": "integer"}, "x=2", json_text='{"x": 1, "y": 1}').raw) == {"x": 2, "y": 1}


def test_a_text_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(UsageError, match="is not UTF-8 text"):
        read_arguments(["x=\udcff"], None)


def test_a_pipe_may_stand_for_a_text(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_text, args=("hello",))
    writer.start()

    assert read({"type": "string"}, f"@{tmp_path}/pipe") == "hello"
    writer.join()


def test_json_that_is_too_deep_is_refused() -> None:
    with pytest.raises(UsageError, match="--json is not JSON"):
        read_arguments([], "[" * 100_000)


@pytest.mark.parametrize("text", ['{"a": 1e999}', '{"a": [NaN]}', '{"a": "\\ud800"}'])
def test_what_python_reads_and_json_cannot_hold_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"not finite.*surrogate"):
        read_arguments([], text).fit({"type": "object"})


@pytest.mark.parametrize(
    ("text", "message"),
    [("{x: 1}", "--json is not JSON"), ("[1]", "--json holds no JSON object"), ("@nowhere", "does not exist")],
)
def test_json_that_is_no_object_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_arguments([], text)


SECRET = {"type": "string", "format": "password", "writeOnly": True}


@pytest.mark.parametrize(("content", "secret"), [("a b\n", "a b"), ("a\n\n", "a\n"), ("a", "a")])
def test_a_secret_from_a_file_loses_one_newline_at_its_end(tmp_path: Path, content: str, secret: str) -> None:
    (tmp_path / "key").write_text(content)

    assert read(SECRET, f"@{tmp_path}/key") == secret
    assert read({"type": "array", "items": SECRET}, f"@{tmp_path}/key") == [secret]


def test_a_text_is_read_from_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("hello\n"))

    assert read({"type": "string"}, "@-") == "hello\n"


def test_a_file_cannot_come_from_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("hello"))

    with pytest.raises(UsageError, match="x is a file, which cannot come from stdin"):
        read(FILE, "@-")


@pytest.mark.parametrize(("pairs", "json_text"), [(["x=@-"], "-"), (["x=@-"], "@-"), (["x=@-", "y=@-"], None)])
def test_stdin_is_read_for_one_thing_only(pairs: list[str], json_text: str | None) -> None:
    with pytest.raises(UsageError, match="all want stdin"):
        read_arguments(pairs, json_text)


@pytest.mark.parametrize("schema", [FILE, {"type": "string"}])
def test_an_at_sign_without_a_file_is_told(schema: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="-i x says @, and names no file after it"):
        read(schema, "@")


@pytest.mark.parametrize(("schema", "value"), [(FILE, "@PATH"), ({"type": "array", "items": FILE}, ["@PATH"])])
def test_a_file_inside_of_json_is_sent(tmp_path: Path, schema: dict[str, Any], value: Any) -> None:
    (tmp_path / "red.png").touch()

    fitted = fit(schema, json_text=json.dumps({"x": value}).replace("PATH", f"{tmp_path}/red.png"))

    assert list(fitted.uploads.values()) == [f"{tmp_path}/red.png"]


def test_a_missing_file_inside_of_json_is_named() -> None:
    with pytest.raises(UsageError, match=r"--json names the file nowhere\.png, which does not exist"):
        fit(FILE, json_text='{"x": "@nowhere.png"}')


def test_a_text_inside_of_json_may_begin_with_an_at_sign() -> None:
    assert json.loads(fit({"type": "string"}, json_text='{"x": "@ada"}').raw) == {"x": "@ada"}
