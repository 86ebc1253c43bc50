import json
from pathlib import Path
from typing import Any

import pytest

from servekit import Input, Secret
from servekit import Path as InputPath
from servekit.errors import UsageError
from servekit.jobs import FailureKind
from servekit.signature import inspect_signature
from servekit_cli.batching.fitting import RowFitter, find_file_input
from servekit_cli.batching.fixed import read_fixed
from servekit_cli.batching.records import Record
from servekit_cli.batching.rows import fit_rows


def predict(
    text: str,
    times: int = 1,
    flag: bool = False,
    names: list[str] = Input(default=[]),
    photo: InputPath | None = None,
    maybe: int | None = None,
) -> str:
    return str((text, times, flag, names, photo, maybe))


def predict_secret(text: str, token: Secret) -> str:
    return f"{text}{token}"


SCHEMA = inspect_signature(predict, "predict").input_schema
"""Of the inputs above."""


def row(content: Any, **given: Any) -> Record:
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    return Record(1, "line 1", text, **given)


def cells(**texts: str) -> Record:
    return Record(1, "line 1", json.dumps(texts).encode(), texts, has_gaps=True)


def test_a_row_that_fits_passes_as_it_is_written() -> None:
    fitted = RowFitter({"type": "object", "properties": {"text": {"type": "string"}}}).fit(row(b'{ "text":"a" }'))

    assert (fitted.raw, fitted.shown, fitted.fault) == (b'{ "text":"a" }', b'{ "text":"a" }', None)


def test_cells_are_read_as_the_schema_wants_them() -> None:
    fitted = RowFitter(SCHEMA).fit(cells(text="12", times="3", flag="True", names='["a"]', maybe="null"))

    assert json.loads(fitted.raw) == {"text": "12", "times": 3, "flag": True, "names": ["a"], "maybe": None}


def test_an_empty_cell_is_no_value_unless_it_may_be_a_text() -> None:
    fitted = RowFitter(SCHEMA).fit(cells(text="", times="", flag="", maybe=""))

    assert json.loads(fitted.raw) == {"text": ""}


def test_a_null_of_a_table_is_no_value() -> None:
    fitted = RowFitter(SCHEMA).fit(row({"text": "a", "times": None}, has_gaps=True))

    assert json.loads(fitted.raw) == {"text": "a"}


def test_a_text_that_begins_with_an_at_sign_names_no_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")

    fitted = RowFitter(SCHEMA).fit(cells(text=f"@{tmp_path}/secret"))

    assert (json.loads(fitted.raw), fitted.uploads) == ({"text": f"@{tmp_path}/secret"}, {})


@pytest.mark.parametrize("is_table", [True, False])
def test_a_file_is_sent_as_an_upload_and_shown_as_its_path(tmp_path: Path, is_table: bool) -> None:
    (tmp_path / "photo.png").write_text("x")
    values = {"text": "a", "photo": f"@{tmp_path}/photo.png"}

    fitted = RowFitter(SCHEMA).fit(cells(**values) if is_table else row(values))

    [(token, path)] = fitted.uploads.items()
    assert (json.loads(fitted.raw)["photo"], path) == (token, f"{tmp_path}/photo.png")
    assert json.loads(fitted.shown) == values


def test_a_file_that_is_missing_is_a_fault_of_its_row(tmp_path: Path) -> None:
    fitted = RowFitter(SCHEMA).fit(row({"text": "a", "photo": f"@{tmp_path}/no.png"}))

    assert (fitted.fault_kind, "no.png, which does not exist" in (fitted.fault or "")) == (FailureKind.ROW, True)


@pytest.mark.parametrize(
    ("content", "kind", "message"),
    [
        (b"{nope", FailureKind.ROW, "not valid JSON"),
        (b"\xff", FailureKind.ROW, "not valid JSON"),
        (b'{"text": 3}', FailureKind.INPUT, "expected a string, got 3"),
        (b'{"texd": "a"}', FailureKind.INPUT, 'did you mean "text"'),
        (b'["a"]', FailureKind.INPUT, "expected an object"),
    ],
)
def test_a_row_that_does_not_fit_says_why(content: bytes, kind: FailureKind, message: str) -> None:
    fitted = RowFitter(SCHEMA).fit(row(content))

    assert (fitted.fault_kind, message in (fitted.fault or "")) == (kind, True), fitted.fault


def test_a_path_without_its_sign_says_how_it_is_written() -> None:
    fitted = RowFitter(SCHEMA).fit(row({"text": "a", "photo": "cat.jpg"}))

    assert fitted.fault == 'photo is a file, and "cat.jpg" is neither @file nor a URL; write it as "@cat.jpg"'


def test_a_url_is_left_to_the_worker() -> None:
    values = {"text": "a", "photo": "https://example.com/cat.jpg"}

    assert json.loads(RowFitter(SCHEMA).fit(row(values)).raw) == values


def test_a_row_has_its_own_value_before_that_for_all_rows() -> None:
    fitter = RowFitter(SCHEMA, fixed=read_fixed(["times=7", "text=x"], SCHEMA))

    assert [json.loads(fitter.fit(each).raw) for each in (row({"text": "a"}), row({"times": 2}))] == [
        {"times": 7, "text": "a"},
        {"times": 2, "text": "x"},
    ]


def test_a_file_for_all_rows_is_sent_with_each(tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_text("x")
    fitter = RowFitter(SCHEMA, fixed=read_fixed([f"photo=@{tmp_path}/photo.png"], SCHEMA))

    first, second = fitter.fit(row({"text": "a"})), fitter.fit(row({"text": "b"}))

    assert set(first.uploads.values()) == set(second.uploads.values()) == {f"{tmp_path}/photo.png"}


def test_columns_of_other_names_and_of_no_use_are_put_right() -> None:
    fitter = RowFitter(SCHEMA, renamed={"text": "body"}, ignores_unknown=True)

    assert json.loads(fitter.fit(row({"body": "a", "id": 9})).raw) == {"text": "a"}
    assert json.loads(fitter.fit(cells(body="b", id="9")).raw) == {"text": "b"}


@pytest.mark.parametrize("record", [row({"body": "b", "text": "a"}), row({"text": "a", "body": "b"})])
def test_a_renamed_column_wins_over_one_with_the_name_of_the_input(record: Record) -> None:
    fitter = RowFitter(SCHEMA, renamed={"text": "body"})

    assert fitter.fit(record).raw == b'{"text":"b"}'


@pytest.mark.parametrize(("given", "flag"), [({"fixed": {"texd": "a"}}, "-i"), ({"renamed": {"texd": "a"}}, "--map")])
def test_a_name_for_all_rows_that_is_no_input_is_refused_at_once(given: dict[str, Any], flag: str) -> None:
    with pytest.raises(UsageError, match=f'{flag} names "texd", which is no input; the inputs are text'):
        RowFitter(SCHEMA, **given)


def test_a_row_that_fits_need_not_be_checked_again() -> None:
    [fitted] = fit_rows(iter([row({"text": "a"})]), RowFitter(SCHEMA))

    assert (fitted.is_checked, fitted.shown) == (True, b'{"text":"a"}')


def test_without_a_schema_every_object_fits() -> None:
    assert RowFitter({}).fit(row({"what": "ever"})).fault is None


def test_secrets_are_not_shown_not_even_of_a_row_that_cannot_be_read() -> None:
    fitter = RowFitter(inspect_signature(predict_secret, "predict").input_schema)

    shown = fitter.fit(row({"text": "a", "token": "s3cret"})).shown + fitter.fit(row(b'{"token": "s3cret"')).shown

    assert b"s3cret" not in shown


def test_the_one_input_that_takes_a_file_gets_those_of_a_folder() -> None:
    assert find_file_input(SCHEMA, None) == "photo"


@pytest.mark.parametrize(
    ("schema", "given", "message"),
    [
        ({"properties": {"a": {"type": "string"}}}, None, "no input that takes a file"),
        (SCHEMA, "nope", "the inputs are text, times"),
        (SCHEMA, "text", "takes no file; photo does"),
        (
            {"properties": {name: {"type": "string", "format": "uri"} for name in "ab"}},
            None,
            "--input-name a",
        ),
    ],
)
def test_files_of_a_folder_need_an_input(schema: dict[str, Any], given: str | None, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        find_file_input(schema, given)
