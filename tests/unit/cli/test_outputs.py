import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from servekit.errors import UsageError
from servekit.runtime.prediction import Status
from servekit_cli.outputs import Outcome, OutputWriter
from servekit_cli.targets import parse_target

FILE = {"type": "string", "format": "uri"}
PNG = "data:image/png;base64,iVBORw=="
PNG_BYTES = b"\x89PNG"


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(
    schema: dict[str, Any],
    *,
    items: list[Any] | None = None,
    output: Any = None,
    concatenates: bool = False,
    target: str | None = None,
) -> None:
    """Write an output, as items if there are some, the way a prediction that succeeds does it."""
    place = parse_target(target)
    with OutputWriter(schema, streams=items is not None, concatenates=concatenates, target=place) as writer:
        for item in items or ():
            writer.write_item(json.dumps(item).encode())
        writer.finish(Outcome(Status.SUCCEEDED, msgspec.Raw(json.dumps(output if items is None else items).encode())))


def array(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def test_text_is_printed_plainly(capsys: pytest.CaptureFixture[str]) -> None:
    write({"type": "string"}, output="Hello, Ädä!")

    assert capsys.readouterr().out == "Hello, Ädä!\n"


def test_an_object_on_a_pipe_is_one_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    write({"type": "object"}, output={"a": [1, "ü"]})

    assert capsys.readouterr().out == '{"a":[1,"ü"]}\n'


def test_an_object_on_a_terminal_is_laid_out(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)

    write({"type": "object"}, output={"a": 1})

    assert capsys.readouterr().out == '{\n  "a": 1\n}\n'


def test_no_output_is_null(capsys: pytest.CaptureFixture[str]) -> None:
    write({}, output=None)

    assert capsys.readouterr().out == "null\n"


def test_pieces_of_text_are_joined(capsys: pytest.CaptureFixture[str]) -> None:
    write(array({"type": "string"}), items=["one", " two", "\n\n", "three"], concatenates=True)

    assert capsys.readouterr().out == "one two\n\nthree\n"


def test_text_that_ends_its_line_gets_no_second_end(capsys: pytest.CaptureFixture[str]) -> None:
    write(array({"type": "string"}), items=["one\n", ""], concatenates=True)

    assert capsys.readouterr().out == "one\n"


def test_a_piece_is_out_before_the_next_one_comes(capsys: pytest.CaptureFixture[str]) -> None:
    with OutputWriter(array({"type": "string"}), streams=True, concatenates=True, target=None) as writer:
        writer.write_item(b'"one"')

        assert capsys.readouterr().out == "one"


def test_items_are_one_json_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    write(array({}), items=[{"a": 1}, "b", None, [1, 2]])

    assert capsys.readouterr().out == '{"a":1}\n"b"\nnull\n[1,2]\n'


def test_text_goes_to_the_named_file_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(array({"type": "string"}), items=["one", " two"], concatenates=True, target="out.txt")

    assert (tmp_path / "out.txt").read_text() == "one two"
    assert capsys.readouterr() == ("", "Written output to: out.txt\n")


def test_json_goes_to_the_named_file(tmp_path: Path) -> None:
    write({"type": "object"}, output={"a": 1}, target="out.json")

    assert json.loads((tmp_path / "out.json").read_text()) == {"a": 1}


def test_a_file_is_written_under_the_named_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(FILE, output=PNG, target="picture.img")

    assert (tmp_path / "picture.img").read_bytes() == PNG_BYTES
    assert capsys.readouterr() == ("", "Written output to: picture.img\n")


def test_a_file_without_a_name_is_called_output(tmp_path: Path) -> None:
    write(FILE, output=PNG)

    assert (tmp_path / "output.png").read_bytes() == PNG_BYTES


def test_a_file_goes_into_the_named_folder(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()

    write(FILE, output=PNG, target="results")

    assert (tmp_path / "results/output.png").read_bytes() == PNG_BYTES


def test_several_files_are_numbered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(array(FILE), output=[PNG, "data:text/plain,a%20b"])

    assert (tmp_path / "output.0.png").read_bytes() == PNG_BYTES
    assert (tmp_path / "output.1.txt").read_text() == "a b"
    assert capsys.readouterr().out == ""


def test_files_that_come_one_by_one_are_numbered(tmp_path: Path) -> None:
    write(array(FILE), items=[PNG, PNG], target="frame.png")

    assert {path.name for path in tmp_path.iterdir()} == {"frame.0.png", "frame.1.png"}


def test_a_file_inside_an_object_is_written_and_named_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    schema = {
        "$ref": "#/$defs/Page",
        "$defs": {"Page": {"type": "object", "properties": {"image": {"anyOf": [FILE, {"type": "null"}]}}}},
    }

    write(schema, output={"image": PNG, "score": 0.5})

    assert (tmp_path / "output.image.png").read_bytes() == PNG_BYTES
    assert capsys.readouterr().out == '{"image":"output.image.png","score":0.5}\n'


def test_a_name_in_the_output_cannot_leave_the_folder(tmp_path: Path) -> None:
    write({"type": "object", "additionalProperties": FILE}, output={"../../x": PNG})

    assert [path.name for path in tmp_path.iterdir()] == ["output..._.._x.png"]


def test_text_that_looks_like_a_file_stays_text(capsys: pytest.CaptureFixture[str]) -> None:
    write({"type": "string"}, output=PNG)

    assert capsys.readouterr().out == f"{PNG}\n"


def test_a_file_that_was_there_is_said_to_be_replaced(capsys: pytest.CaptureFixture[str]) -> None:
    write(FILE, output=PNG)
    capsys.readouterr()

    write(FILE, output=PNG)

    assert capsys.readouterr().err == "output.png was there, and is replaced.\nWritten output to: output.png\n"


def test_a_file_goes_to_stdout_as_it_is(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    write(FILE, output=PNG, target="-")

    assert capfdbinary.readouterr() == (PNG_BYTES, b"")
    assert list(tmp_path.iterdir()) == []


def test_text_goes_to_stdout_when_told_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write({"type": "string"}, output="Hello", target="-")

    assert capsys.readouterr().out == "Hello\n"
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()

    with pytest.raises(UsageError, match="folder cannot be written: Is a directory"):
        write({"type": "string"}, output="x", target="folder")
