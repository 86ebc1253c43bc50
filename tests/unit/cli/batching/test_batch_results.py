"""What is made of results: merged files, tables and reports."""

import csv
import json
import sys
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from servekit.errors import UsageError
from servekit.jobs import Outcome, Row, RowResult, Tally
from servekit.jobs.rows import FailureKind
from servekit.runtime.prediction import Status
from servekit_cli.batching.lines import encode_result
from servekit_cli.batching.merging import merge_classes, merge_embeddings, merge_text
from servekit_cli.batching.output_files import OutputFiles
from servekit_cli.batching.pace import Pace, describe_seconds
from servekit_cli.batching.places import OutputPlace, find_place
from servekit_cli.batching.report_page import render_page, write_report
from servekit_cli.batching.summary import Report, describe_report
from servekit_cli.batching.tables import write_table


def succeeded(row: int, output: Any, given: Any = None) -> RowResult:
    outcome = Outcome(Status.SUCCEEDED, json.dumps(output).encode())
    return RowResult(Row(row, json.dumps(given or {}).encode(), f"line {row}"), outcome, 1, 0.25)


def failed(row: int, error: str = "ValueError: <no>") -> RowResult:
    outcome = Outcome(Status.FAILED, b"null", error, FailureKind.MODEL, logs="x" * 20_000, metrics={"tokens": 3})
    return RowResult(Row(row, b"{}", f"line {row}"), outcome, 2, 0.5)


def write(path: Path, results: Sequence[RowResult]) -> Path:
    path.write_bytes(b"".join(encode_result(each, each.row.raw_input, each.raw_output) for each in results))
    return path


def test_a_line_has_what_is_known_of_its_row() -> None:
    assert json.loads(encode_result(succeeded(3, ["a"]), b'{"text": "b"}', b'["a"]')) == {
        "row": 3,
        "status": "succeeded",
        "input": {"text": "b"},
        "output": ["a"],
        "seconds": 0.25,
    }


def test_a_line_of_a_failure_has_error_place_and_the_end_of_its_logs() -> None:
    line = json.loads(encode_result(failed(3), None, b"null"))

    assert len(line.pop("logs")) == 10_000
    assert line == {
        "row": 3,
        "status": "failed",
        "place": "line 3",
        "error": "ValueError: <no>",
        "kind": "model",
        "metrics": {"tokens": 3},
        "attempts": 2,
        "seconds": 0.5,
    }


def test_texts_are_joined_and_pieces_of_one_are_one(tmp_path: Path) -> None:
    results = write(tmp_path / "r.jsonl", [succeeded(1, "one\n"), failed(2), succeeded(3, ["t", "wo"])])

    assert merge_text(results, tmp_path / "all.txt") == 2
    assert (tmp_path / "all.txt").read_text() == "one\ntwo\n"


def test_embeddings_are_an_array_that_numpy_reads(tmp_path: Path) -> None:
    numpy = pytest.importorskip("numpy")
    results = write(tmp_path / "r.jsonl", [succeeded(1, [1, 2.5]), failed(2), succeeded(3, {"embedding": [3, 4]})])

    merge_embeddings(results, tmp_path / "all.npy")

    array = numpy.load(tmp_path / "all.npy")
    assert (array.dtype, array.tolist()) == ("float32", [[1.0, 2.5], [3.0, 4.0]])
    assert (tmp_path / "all.npy.rows.txt").read_text() == "1\n3\n"


@pytest.mark.parametrize("output", [[1.0], [], "text", ["a", "b"], {"score": 1}, None])
def test_what_is_no_embedding_like_the_others_is_refused(tmp_path: Path, output: Any) -> None:
    results = write(tmp_path / "r.jsonl", [succeeded(1, [1, 2]), succeeded(2, output)])

    with pytest.raises(UsageError):
        merge_embeddings(results, tmp_path / "all.npy")


def test_classes_are_counted(tmp_path: Path) -> None:
    outputs = ["cat", {"label": "dog", "score": 0.5}, [{"label": "cat"}, {"label": "dog"}], True]
    results = write(tmp_path / "r.jsonl", [succeeded(i, each) for i, each in enumerate(outputs, 1)])

    merge_classes(results, tmp_path / "all.json")
    merge_classes(results, tmp_path / "all.csv")

    assert json.loads((tmp_path / "all.json").read_text()) == {"cat": 2, "dog": 1, "True": 1}
    assert (tmp_path / "all.csv").read_text().splitlines() == ["class,count", "cat,2", "dog,1", "True,1"]


def test_another_file_cannot_be_merged(tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_text("nope\n")

    with pytest.raises(UsageError, match="line 1 that is no result"):
        merge_text(tmp_path / "r.jsonl", tmp_path / "all.txt")


RESULTS = (
    succeeded(1, {"label": "a", "score": 1}, {"text": "x,\n"}),
    failed(2),
    succeeded(3, {"label": "b", "score": 0.5, "box": [1]}, {"text": "y"}),
)


def make_place(tmp_path: Path, name: str) -> OutputPlace:
    place = find_place(str(tmp_path / name))
    write(place.lines, RESULTS)
    write_table(place)
    return place


def test_a_table_has_a_column_for_each_member(tmp_path: Path) -> None:
    with make_place(tmp_path, "r.csv").path.open(newline="") as file:
        rows = list(csv.DictReader(file))

    chosen = ("row", "status", "input.text", "output.label", "output.score", "output.box", "error")
    assert [[row[name] for name in chosen] for row in rows] == [
        ["1", "succeeded", "x,\n", "a", "1", "", ""],
        ["2", "failed", "", "", "", "", "ValueError: <no>"],
        ["3", "succeeded", "y", "b", "0.5", "[1]", ""],
    ]


def test_parquet_has_the_types_of_its_columns(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")

    table = parquet.read_table(make_place(tmp_path, "r.parquet").path)

    assert table.column("output.score").to_pylist() == [1.0, None, 0.5]
    assert table.column("output.box").to_pylist() == [None, None, "[1]"]
    assert str(table.schema.field("row").type) == "int64"


def test_files_of_outputs_go_to_a_folder_and_their_paths_stand_for_them(tmp_path: Path) -> None:
    schema = {"type": "array", "items": {"type": "string", "format": "uri"}}
    files = OutputFiles(schema, tmp_path / "r.files")
    output = b'["data:text/plain;base64,QQ==","data:image/png;base64,Qg=="]'

    paths = json.loads(files.take_out(12, output))

    assert paths == [f"{tmp_path}/r.files/0000012.0.txt", f"{tmp_path}/r.files/0000012.1.png"]
    assert [Path(path).read_text() for path in paths] == ["A", "B"]


class Clock:
    """A clock that goes a second further whenever it is looked at."""

    now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


def make_report(results: Sequence[RowResult]) -> Report:
    tally = Tally(Clock())
    for each in results:
        tally.add(each)
    return Report(
        input="<in>.jsonl",
        output="out.jsonl",
        target="predict.py:Predictor",
        stopped=None,
        done_before=5,
        failed_before=1,
        summary=tally.summary(),
    )


def test_the_report_for_people_has_counts_times_and_errors() -> None:
    text = describe_report(make_report(RESULTS))

    assert "3 rows in 3 s, 1 rows/s: 2 succeeded (66.67 %), 1 failed, 1 took several attempts" in text
    assert "5 rows were done before, 1 of which had failed." in text
    assert "p50 250 ms" in text
    assert "0 s to 1 s        0.0 rows/s" in text
    assert "2 s to 3 s        2.0 rows/s" in text
    assert "1  model        ValueError: <no> (first: row 2)" in text


def test_the_report_of_a_job_that_was_done_before_says_no_more_than_that() -> None:
    assert describe_report(make_report([])) == "5 rows were done before, 1 of which had failed."


def test_the_page_is_well_formed_and_needs_nothing_else() -> None:
    page = render_page(make_report(RESULTS * 20))

    svgs = [part.partition("</svg>")[0] for part in page.split("<svg")[1:]]
    assert len(svgs) == 2
    for svg in svgs:
        ET.fromstring(f"<svg{svg}</svg>")
    assert "ValueError: &lt;no&gt;" in page
    assert "&lt;in&gt;.jsonl" in page
    assert "://" not in page
    assert "<script" not in page


@pytest.mark.parametrize("results", [[], RESULTS[:1], RESULTS[1:2]])
def test_a_page_is_made_of_the_smallest_job(results: Sequence[RowResult]) -> None:
    assert render_page(make_report(results)).endswith("</html>")


def test_the_report_for_programs_is_json(tmp_path: Path) -> None:
    write_report(make_report(RESULTS), tmp_path / "r.json")

    report = json.loads((tmp_path / "r.json").read_text())
    assert (report["summary"]["succeeded"], report["done_before"]) == (2, 5)
    assert datetime.fromisoformat(report["summary"]["started_at"]) <= datetime.now(UTC)


def test_the_pace_says_how_much_is_left() -> None:
    clock = Clock()
    pace = Pace(2000, 1000, clock)
    for number in range(100):
        pace.advance(is_success=number > 0)

    assert pace.describe() == "1,100 of 2,000 rows, 100 rows/s, 1 failed, 9 s left"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0001, "0.1 ms"),
        (0.42, "420 ms"),
        (3.71, "3.71 s"),
        (37.2, "37 s"),
        (250, "4 min 10 s"),
        (12000, "3 h 20 min"),
    ],
)
def test_times_are_written_for_people(seconds: float, text: str) -> None:
    assert describe_seconds(seconds) == text


@pytest.mark.parametrize(
    ("name", "message"),
    [("", "is a folder"), ("no/r.jsonl", "no folder"), ("r.txt", "extension is none of")],
)
def test_results_need_a_place(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        find_place(str(tmp_path / name))


def test_special_files_are_no_place_for_results() -> None:
    with pytest.raises(UsageError, match="no regular file"):
        find_place("/dev/null")


def test_without_pyarrow_no_table_of_its_kind_is_begun(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    place = find_place(str(tmp_path / "r.parquet"))
    write(place.lines, RESULTS)

    with pytest.raises(UsageError, match="pip install pyarrow"):
        write_table(place)
