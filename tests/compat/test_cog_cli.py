"""`servekit predict` in a Cog project reads and prints what scripts that call Cog's command line know."""

import json
import os
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cog_projects import write_cog_project
from typer.testing import CliRunner

from servekit.runtime.model import Model
from servekit.runtime.prediction import Status
from servekit_cli.conventions import CONVENTIONS
from servekit_cli.inputs import InputRequest, read_arguments
from servekit_cli.main import make_app
from servekit_cli.outputs import Outcome
from servekit_cli.targets import parse_target

SERVEKIT = str(Path(sysconfig.get_path("scripts")) / "servekit")
SECONDS = 60
COG = CONVENTIONS["cog"]

TEXT: dict[str, Any] = {"type": "string"}
FILE: dict[str, Any] = {"type": "string", "format": "uri"}
PNG = "data:image/png;base64,iVBORw=="


def array(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


# ------------------------------------------------------------------ inputs


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ('"a cat"', "a cat"),
        ('""', ""),
        ('"two\nlines"', "two\nlines"),
        ("a cat", "a cat"),
        ('"', '"'),
        ('a "cat"', 'a "cat"'),
        ('"To be" or "not"', '"To be" or "not"'),
    ],
)
def test_quotation_marks_around_a_text_are_taken_away(text: str, read: str) -> None:
    request = COG.read(read_arguments([f"prompt={text}"], None))

    assert request.pairs == (("prompt", read),)


# ------------------------------------------------------------------ outputs


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def show(
    schema: dict[str, Any],
    output: Any,
    *,
    streams: bool = False,
    concatenates: bool = False,
    target: str | None = None,
    has_json: bool = False,
    error: str | None = None,
) -> None:
    """Show a prediction that has ended, with an error if there is one."""
    model = Model({}, schema, False, streams, concatenates, False, False, False)
    request = InputRequest({}, (), has_json=has_json)
    place = parse_target(target)
    COG.check_target(request, place, schema)
    status = Status.SUCCEEDED if error is None else Status.FAILED
    raw = msgspec.Raw(json.dumps(output).encode())
    with COG.make_writer(request, place, model) as writer:
        for item in output if streams else ():
            writer.write_item(json.dumps(item).encode())
        writer.finish(Outcome(status, raw, error, {"predict_time": 0.5}))


PRINTED: dict[str, tuple[dict[str, Any], Any, str]] = {
    "text as it is": (TEXT, "hello", "hello\n"),
    "text of an output that may be anything as JSON": ({}, "hello", '"hello"\n'),
    "a number": ({"type": "number"}, 2.5, "2.5\n"),
    "a boolean": ({"type": "boolean"}, True, "true\n"),
    "an object over several lines": ({"type": "object"}, {"a": "ü"}, '{\n  "a": "ü"\n}\n'),
    "a list over several lines": (array(TEXT), ["a", "b"], '[\n  "a",\n  "b"\n]\n'),
    "an empty list": (array(TEXT), [], "[]\n"),
    "no files at all": (array(FILE), [], ""),
    "the URL of a file that was sent elsewhere": (FILE, "https://example.com/a.png", "https://example.com/a.png\n"),
}


@pytest.mark.parametrize(("schema", "output", "printed"), PRINTED.values(), ids=PRINTED.keys())
def test_an_output_is_printed(
    schema: dict[str, Any], output: Any, printed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    show(schema, output)

    assert capsys.readouterr() == (printed, "")


def test_nothing_is_said_to_be_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    show(TEXT, None)

    assert capsys.readouterr() == ("", "No output generated\n")


def test_a_stream_is_one_list_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    show(array(TEXT), ["hello", " world"], streams=True, concatenates=True)

    assert capsys.readouterr().out == '[\n  "hello",\n  " world"\n]\n'


def test_a_stream_of_text_comes_as_text_for_people(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)

    show(array(TEXT), ["hello", " world"], streams=True, concatenates=True)

    assert capsys.readouterr().out == "hello world\n"


NAMES: dict[str, tuple[str | None, Any, set[str]]] = {
    "one": (None, PNG, {"output.png"}),
    "several": (None, [PNG, PNG], {"output.0.png", "output.1.png"}),
    "one under a name": ("picture.bmp", PNG, {"picture.bmp"}),
    "several under a name": ("frame.bmp", [PNG, PNG], {"frame.0.bmp", "frame.1.bmp"}),
    "under a name without an extension": ("picture", PNG, {"picture.png"}),
    "several under a name without an extension": ("frame", [PNG], {"frame.0.png"}),
    "under a name that ends in a number": ("model.2", PNG, {"model.2.png"}),
    "in a folder": ("results", PNG, {"results/output.png"}),
}


@pytest.mark.parametrize(("target", "output", "names"), NAMES.values(), ids=NAMES.keys())
def test_files_have_the_names_that_are_known(
    folder: Path, target: str | None, output: Any, names: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "results").mkdir()

    show(array(FILE) if isinstance(output, list) else FILE, output, target=target)

    out, err = capsys.readouterr()
    assert {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} == names
    assert (out, set(err.splitlines())) == ("", {f"Written output to: {name}" for name in names})


def test_the_files_of_a_stream_are_written_as_they_come(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    show(array(FILE), [PNG, PNG], streams=True)

    assert {path.name for path in folder.iterdir()} == {"output.0.png", "output.1.png"}
    assert capsys.readouterr().out == ""


def test_a_file_inside_an_object_is_written_as_well(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    show({"type": "object", "properties": {"image": FILE}}, {"image": PNG})

    assert [path.name for path in folder.iterdir()] == ["output.image.png"]
    assert json.loads(capsys.readouterr().out) == {"image": "output.image.png"}


@pytest.mark.parametrize(("schema", "output", "content"), [(TEXT, "hi", "hi"), (array(TEXT), ["hi"], '[\n  "hi"\n]')])
def test_what_is_no_file_goes_to_the_named_file_without_a_newline(
    folder: Path, schema: dict[str, Any], output: Any, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    show(schema, output, target="out.txt")

    assert (folder / "out.txt").read_text() == content
    assert capsys.readouterr() == ("", "Written output to: out.txt\n")


def test_a_failure_writes_no_output(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    show(TEXT, None, error="boom")

    assert capsys.readouterr() == ("", "")
    assert list(folder.iterdir()) == []


# ------------------------------------------------------------------ --json


def test_with_json_the_whole_prediction_is_printed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    show(FILE, PNG, has_json=True)

    out, err = capsys.readouterr()
    assert json.loads(out) == {
        "status": "succeeded",
        "output": "output.png",
        "error": "",
        "metrics": {"predict_time": 0.5},
    }
    assert out.startswith('{\n  "status": "succeeded",\n')
    assert err == "Written output to: output.png\n"
    assert (folder / "output.png").is_file()


def test_with_json_a_failure_is_printed_as_well(capsys: pytest.CaptureFixture[str]) -> None:
    show(TEXT, None, has_json=True, error="boom")

    prediction = json.loads(capsys.readouterr().out)
    assert (prediction["status"], prediction["output"], prediction["error"]) == ("failed", None, "boom")


@pytest.mark.parametrize(
    ("target", "names"),
    [("out.json", {"out.json", "out.0.png"}), ("results", {"results/output.json", "results/output.0.png"})],
)
def test_with_json_the_files_are_called_like_the_prediction(folder: Path, target: str, names: set[str]) -> None:
    (folder / "results").mkdir()

    show(array(FILE), [PNG], streams=True, has_json=True, target=target)

    assert {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} == names


def test_with_json_a_file_and_the_prediction_do_not_replace_each_other(folder: Path) -> None:
    show(FILE, "data:application/json,1", has_json=True, target="out.json")

    assert json.loads((folder / "out.json").read_text())["output"] == "out.output.json"
    assert (folder / "out.output.json").read_text() == "1"


# ------------------------------------------------------------------ whole runs

CODE = """
    import os
    import pathlib
    from cog import BaseRunner, Input, Path, current_scope

    class Runner(BaseRunner):
        def setup(self):
            pathlib.Path("was-set-up").touch()

        def run(self, prompt: str, count: int = Input(default=1, ge=1, le=10), words: list[str] = Input(default=[]),
                size: str = Input(default="small", choices=["small", "large"]), file: Path | None = None) -> dict:
            if prompt == "fail":
                raise ValueError("boom")
            current_scope().record_metric("tokens", 10)
            context = dict(current_scope().context)
            return {"words": words, "greeting": os.environ.get("GREETING"), "context": context,
                    "file": file and file.read_text()}
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("model")
    write_cog_project(root, CODE)
    (root / "a.txt").write_text("content")
    return root


def predict(
    folder: Path, *arguments: str, stdin: str | None = None, **environ: str
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [SERVEKIT, "predict", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
        input=stdin,
        env={**os.environ, **environ},
    )


def test_an_input_that_does_not_fit_is_refused_before_setup(project: Path) -> None:
    (project / "was-set-up").unlink(missing_ok=True)

    done = predict(project, "-i", "nope=@/no/such/file", "-i", "count=lots", "-i", "size=huge")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-5:] == [
        "Error: input validation failed:",
        '- unknown input "nope"; valid inputs are: count, file, prompt, size, words',
        '- invalid input "count": expected integer, got string "lots"',
        '- invalid input "size": must be one of: small, large; got "huge"',
        '- missing required input "prompt" (give it as -i prompt=...)',
    ]
    assert not (project / "was-set-up").exists()


def test_flags_reach_the_code(project: Path) -> None:
    flags = ["-e", "GREETING=hello", "--setup-timeout", "60", "--use-replicate-token"]

    done = predict(project, "-i", "prompt=x", "-i", "words=a", "-i", "words=b", *flags, REPLICATE_API_TOKEN="token")

    assert json.loads(done.stdout) == {
        "words": ["a", "b"],
        "greeting": "hello",
        "context": {"replicate_api_token": "token"},
        "file": None,
    }, done.stderr


def test_json_comes_from_stdin_with_a_file_in_it(project: Path) -> None:
    done = predict(project, "--json", "-", stdin='{"prompt": "x", "file": "@a.txt"}')

    prediction = json.loads(done.stdout)
    assert (done.returncode, prediction["status"]) == (0, "succeeded")
    assert prediction["output"]["file"] == "content"
    assert prediction["metrics"]["tokens"] == 10
    assert "predict_time" in prediction["metrics"]


def test_json_of_a_failure_ends_with_1(project: Path) -> None:
    done = predict(project, "--json", '{"prompt": "fail"}')

    assert (done.returncode, json.loads(done.stdout)["error"]) == (1, "ValueError: boom")


def test_a_token_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REPLICATE_API_TOKEN", raising=False)

    done = CliRunner().invoke(make_app(["predict"]), ["predict", "--use-replicate-token"])

    assert done.exit_code == 2
    assert "REPLICATE_API_TOKEN on, which is not set" in done.output
