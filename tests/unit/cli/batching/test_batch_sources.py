import gzip
import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from servekit.errors import UsageError
from servekit_cli.batching import jsonl as jsonl_module
from servekit_cli.batching.records import Record
from servekit_cli.batching.sources import open_source
from servekit_cli.batching.stopping import Stop

ReadFile = Callable[..., list[Record]]


@pytest.fixture
def read(tmp_path: Path) -> ReadFile:
    """Write a file, and read its rows."""

    def read(name: str, content: str | bytes, given_format: str | None = None) -> list[Record]:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return list(open_source(str(path), given_format, lambda: "file", Stop()).read())

    return read


def test_lines_are_numbered_and_blank_ones_are_no_rows(read: ReadFile) -> None:
    records = read("in.jsonl", '{"a": 1}\n\n  \n{"a": 2}')

    assert [(each.number, each.place, each.content) for each in records] == [
        (1, "line 1", b'{"a": 1}'),
        (2, "line 4", b'{"a": 2}'),
    ]


def test_a_line_that_is_too_long_is_a_fault_and_the_next_one_is_read(
    read: ReadFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jsonl_module, "MAX_ROW_BYTES", 20)

    records = read("in.jsonl", f'{{"a": "{"x" * 100}"}}\n{{"a": 2}}\n')

    assert [each.fault for each in records] == ["the line is longer than 20 bytes", None]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("in.jsonl", b'\xef\xbb\xbf{"a": "1"}\n{"a": "2"}\n'),
        ("in.json", b'\xef\xbb\xbf [ {"a": "1"} , \n{"a": "2"}\n]'),
        ("in.csv", b"\xef\xbb\xbfa\n1\n2\n"),
        ("in.tsv", b"a\r\n1\r\n2\r\n"),
        ("in.jsonl.gz", gzip.compress(b'{"a": "1"}\n{"a": "2"}\n', mtime=0)),
        ("in.csv.gz", gzip.compress(b"a\n1\n2\n", mtime=0)),
    ],
)
def test_every_format_of_text_gives_the_same_rows(read: ReadFile, name: str, content: bytes) -> None:
    assert [json.loads(each.content) for each in read(name, content)] == [{"a": "1"}, {"a": "2"}]


def test_parquet_gives_its_rows_as_json(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    path = tmp_path / "in.parquet"
    table = arrow.table({"a": [1, None], "b": ["x", "y"]})
    pytest.importorskip("pyarrow.parquet").write_table(table, path)
    source = open_source(str(path), None, lambda: "file", Stop())

    assert [json.loads(each.content) for each in source.read()] == [{"a": 1, "b": "x"}, {"a": None, "b": "y"}]
    assert source.count() == 2


def test_without_pyarrow_parquet_is_refused_with_the_way_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in.parquet").touch()
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)

    with pytest.raises(UsageError, match="pip install pyarrow"):
        open_source(str(tmp_path / "in.parquet"), None, lambda: "file", Stop())


def test_rows_of_a_list_are_read_across_the_pieces_of_the_file(read: ReadFile) -> None:
    rows = [{"text": "ä\n" * 9000, "n": n} for n in range(20)]

    assert [json.loads(each.content) for each in read("in.json", json.dumps(rows, ensure_ascii=False))] == rows


@pytest.mark.parametrize("rest", ["nope]", "", "]"])
def test_where_a_list_stops_being_json_the_last_row_says_so(read: ReadFile, rest: str) -> None:
    *good, last = read("in.json", '[{"a": 1},\n{"a": 2},\n' + rest)

    assert [each.fault for each in good] == [None, None]
    assert (last.number, last.fault is not None and "not JSON from here on" in last.fault) == (3, True)


def test_a_json_object_is_no_list_of_rows(read: ReadFile) -> None:
    with pytest.raises(UsageError, match="holds no JSON list"):
        read("in.json", '{"a": 1}')


def test_a_row_of_a_table_with_too_few_cells_is_a_fault(read: ReadFile) -> None:
    records = read("in.csv", 'a,b\n1,2\n"3\n4"\n5,6\n')

    assert [(each.place, each.fault) for each in records] == [
        ("line 2", None),
        ("line 3", "the row has 1 cells, and the header has 2"),
        ("line 5", None),
    ]


def test_two_columns_of_one_name_are_refused(read: ReadFile) -> None:
    with pytest.raises(UsageError, match='more than one column "a"'):
        read("in.csv", "a,b,a\n1,2,3\n")


def test_a_row_that_is_not_utf8_is_a_fault(read: ReadFile) -> None:
    records = read("in.csv", b"a\n\xff\nx\n")

    assert [each.fault for each in records] == ["the row is not UTF-8 text", None]


@pytest.mark.parametrize("content", [b"\x00\x01\x02", "{}\n".encode("utf-16")])
def test_a_binary_file_is_refused_as_a_whole(read: ReadFile, content: bytes) -> None:
    with pytest.raises(UsageError, match=r"no UTF-8 text"):
        read("in.jsonl", content)


def test_a_compressed_file_that_was_cut_off_says_so_after_its_rows(read: ReadFile) -> None:
    with pytest.raises(UsageError, match=r"(?s)cannot be read: .*--resume"):
        read("in.jsonl.gz", gzip.compress(os.urandom(20_000).hex().encode())[:-4000])


def test_a_compressed_file_that_was_cut_off_does_not_count_ahead(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl.gz"
    path.write_bytes(gzip.compress(b"{}\n")[:-4])

    assert open_source(str(path), None, lambda: "file", Stop()).count() is None


def test_files_of_a_folder_come_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name in ("b.png", "a/2.png", "a/10.png", ".hidden/x", ".y"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    source = open_source(str(tmp_path), None, lambda: "image", Stop())

    assert [json.loads(each.content) for each in source.read()] == [
        {"image": f"@{tmp_path}/{name}"} for name in ("a/10.png", "a/2.png", "b.png")
    ]
    assert source.count() == 3


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("missing.jsonl", None, "does not exist"),
        ("rows.xls", None, "no extension that tells"),
        ("rows.xls", "xls", "--format is"),
        ("rows.xls", "folder", "is no folder"),
        (".", "csv", "is a folder"),
        ("-", "parquet", "cannot be read from stdin"),
    ],
)
def test_what_cannot_be_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, given: str | None, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rows.xls").touch()

    with pytest.raises(UsageError, match=message):
        open_source(name, given, lambda: "file", Stop())


def test_stdin_is_at_its_end_when_the_job_is_to_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    stop = Stop()
    with os.fdopen(reader, encoding="utf-8") as stdin, os.fdopen(writer, "wb", buffering=0) as keyboard:
        monkeypatch.setattr(sys, "stdin", stdin)
        keyboard.write(b'{"a": 1}\n')
        records = open_source("-", None, lambda: "file", stop).read()
        first = next(records)
        stop.ask("enough")

        assert (first.content, list(records)) == (b'{"a": 1}', [])


def test_a_source_that_is_no_file_of_lines_does_not_count_ahead(tmp_path: Path) -> None:
    (tmp_path / "in.json").write_text("[1, 2]")
    (tmp_path / "in.csv").write_text("a\n1\n2\n")
    stop = Stop()

    assert open_source(str(tmp_path / "in.json"), None, lambda: "", stop).count() is None
    assert open_source(str(tmp_path / "in.csv"), None, lambda: "", stop).count() == 2


def test_lines_are_read_from_any_stream() -> None:
    assert [each.number for each in jsonl_module.read_jsonl(io.BytesIO(b"1\n2\n"))] == [1, 2]
