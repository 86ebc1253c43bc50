"""What one prediction gives, written as JSON within its limit."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from servekit.errors import OutputError
from servekit.output_files import FileMetError
from servekit.runtime.outputs import OutputWriter
from servekit.signature import inspect_signature
from servekit.types import Path as FilePath


def returns_anything() -> Any: ...


def returns_files() -> list[FilePath]: ...  # type: ignore[empty-body] # only its annotation is read


def yields_numbers() -> Iterator[int]:
    yield 1


def make_writer(predict: Callable[..., Any], *, max_bytes: int = 1000) -> OutputWriter:
    return OutputWriter(inspect_signature(predict, "p"), max_bytes, None)


@pytest.fixture
def file(tmp_path: Path) -> FilePath:
    path = tmp_path / "a.txt"
    path.write_text("hi")
    return FilePath(path)


@pytest.mark.parametrize("predict", [returns_anything, returns_files])
def test_no_file_is_read_by_who_may_not_wait(predict: Callable[..., Any], file: FilePath) -> None:
    writer = make_writer(predict)

    with pytest.raises(FileMetError):
        writer.write_at_once([file])

    assert writer.write_with_files([file]) == b'["data:text/plain;base64,aGk="]'
    assert writer.count == 1


def test_who_may_wait_need_not_know(file: FilePath) -> None:
    writer = make_writer(returns_anything)

    assert [writer.write(value) for value in ("text", file)] == [b'"text"', b'"data:text/plain;base64,aGk="']


def test_all_items_together_are_limited() -> None:
    writer = make_writer(yields_numbers, max_bytes=8)
    writer.write(12345)

    with pytest.raises(OutputError, match=r"the output is larger than 8 bytes \(serve.max_output\)"):
        writer.write(6789)


def test_an_item_that_does_not_fit_is_named() -> None:
    writer = make_writer(yields_numbers)
    writer.write(1)

    with pytest.raises(OutputError, match=r"^item 1 \(counted from 0\): expected int, got str 'two'"):
        writer.write("two")
