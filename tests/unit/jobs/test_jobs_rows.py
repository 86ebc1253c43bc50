"""Rows as users give them, and results as they read them."""

import datetime as dt
from pathlib import Path

import numpy as np
import pytest

from servekit.errors import InputError, PredictionFailedError
from servekit.jobs.rows import FailureKind, Outcome, Row, RowResult, make_row
from servekit.jsonable import WITHOUT_FILES
from servekit.output_files import FileMetError
from servekit.runtime.prediction import Status


def test_inputs_by_name_become_json() -> None:
    row = make_row(3, {"text": "é", "day": dt.date(2026, 1, 2), "vector": np.array([1, 2])})

    assert (row.number, row.input) == (3, {"text": "é", "day": "2026-01-02", "vector": [1, 2]})


def test_a_row_stays_as_it_is() -> None:
    row = Row(7, b"{}", place="a.jsonl:7")

    assert make_row(1, row) is row


def test_a_file_becomes_a_data_url(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hi")

    assert make_row(1, {"file": tmp_path / "a.txt"}).input == {"file": "data:text/plain;base64,aGk="}


def test_a_file_is_not_read_where_that_would_block(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hi")

    with pytest.raises(FileMetError):
        make_row(1, {"file": tmp_path / "a.txt"}, WITHOUT_FILES)


@pytest.mark.parametrize("given", [5, "text", ["a"], None])
def test_what_is_no_object_is_a_row_with_a_fault(given: object) -> None:
    row = make_row(1, given)

    assert row.fault == (
        f"a row is an object with the inputs by name, such as {{'text': 'a'}}; got {type(given).__name__}"
    )


@pytest.mark.parametrize("value", [object(), float("nan"), Path("/nowhere/at/all")])
def test_what_json_cannot_hold_is_a_row_with_a_fault(value: object) -> None:
    fault = make_row(1, {"value": value}).fault

    assert fault is not None
    assert fault.startswith("its inputs cannot be written as JSON: ")


def test_a_result_that_succeeded_unwraps_to_its_output() -> None:
    result = RowResult(Row(1), Outcome(Status.SUCCEEDED, b'{"a":[1]}'), 1, 0.1)

    assert result.unwrap() == {"a": [1]}


def test_a_result_that_failed_raises_its_error_with_its_number() -> None:
    result = RowResult(Row(4), Outcome.failure(FailureKind.MODEL, "ValueError: no"), 1, 0.1)

    with pytest.raises(PredictionFailedError, match="row 4: ValueError: no"):
        result.unwrap()


def test_a_result_whose_input_does_not_fit_raises_what_is_wrong_with_it() -> None:
    problem = {"loc": ["input", "n"], "msg": "expected an integer", "type": "type"}
    result = RowResult(Row(4), Outcome.misfit(InputError([problem])), 0, 0.0)

    with pytest.raises(InputError, match=r"input\.n: expected an integer"):
        result.unwrap()
