"""The files in the outputs of one prediction, and their URLs in the JSON."""

import dataclasses
import io
import json
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pydantic
import pytest
from put_receiver import PutReceiver, run_put_receiver

from servekit.errors import OutputError, UploadError
from servekit.runtime.outputs import OutputWriter
from servekit.runtime.uploading.outputs import UploadedFiles
from servekit.runtime.uploading.target import UploadTarget
from servekit.scope import Scope
from servekit.signature import inspect_signature
from servekit.types import File
from servekit.types import Path as FilePath

Make = Callable[[str], FilePath]
Write = Callable[..., Any]


class Result(pydantic.BaseModel):
    image: FilePath
    score: float


@dataclasses.dataclass
class Pair:
    left: FilePath
    right: FilePath


@pytest.fixture
def receiver() -> Generator[PutReceiver]:
    with run_put_receiver() as receiver:
        yield receiver


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def make(name: str) -> FilePath:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"content of {name}")
        return FilePath(path)

    return make


@pytest.fixture
def write(receiver: PutReceiver, tmp_path: Path) -> Write:
    """Write values of one prediction, and give each as the client gets it, with the receiver's URL as `~`."""
    scope = Scope("p-1", sink=Quiet(), directory=str(tmp_path / "scope"))
    writers: dict[Any, OutputWriter] = {}
    uploads = UploadedFiles(UploadTarget(receiver.url, 300.0, 0), scope)

    def write(value: Any, annotation: Any = Any, *, max_bytes: int = 10_000) -> Any:
        def predict() -> Any: ...

        predict.__annotations__["return"] = annotation
        if annotation not in writers:
            writers[annotation] = OutputWriter(inspect_signature(predict, "p"), max_bytes, uploads)
        return json.loads(writers[annotation].write(value).decode().replace(receiver.url, "~"))

    return write


class Quiet:
    def log(self, source: str, text: str) -> None: ...

    def metric(self, name: str, value: Any, mode: Any, *, is_nested: bool = False) -> None: ...


def test_a_file_is_its_url(write: Write, receiver: PutReceiver, make: Make) -> None:
    assert write(make("a.png"), FilePath) == "~/a.png"
    assert receiver.at("/a.png")[0].body == b"content of a.png"


def test_a_list_of_one_stays_a_list(write: Write, make: Make) -> None:
    assert write([make("a.png")], list[FilePath]) == ["~/a.png"]


def test_several_files_go_at_once_and_keep_their_order(write: Write, receiver: PutReceiver, make: Make) -> None:
    first = receiver.hold("/0.png")
    with ThreadPoolExecutor(1) as thread:
        urls = thread.submit(write, [make(f"{number}.png") for number in range(9)], list[FilePath])
        receiver.wait_for("/3.png")
        first.set()

    assert urls.result() == [f"~/{number}.png" for number in range(9)]


def test_files_nested_anywhere_are_sent(write: Write, make: Make) -> None:
    value = {
        "one": [make("a"), {"two": make("b")}],
        "model": Result(image=make("c"), score=0.5),
        "class": Pair(make("d"), make("e")),
        "array": np.array([make("f")], dtype=object),
        "text": "servekit-file:0",
    }

    assert write(value) == {
        "one": ["~/a", {"two": "~/b"}],
        "model": {"image": "~/c", "score": 0.5},
        "class": {"left": "~/d", "right": "~/e"},
        "array": ["~/f"],
        "text": "servekit-file:0",
    }


@pytest.mark.parametrize("annotation", [Result, dict[str, FilePath | float]])
def test_files_in_what_is_annotated_are_sent(write: Write, make: Make, annotation: Any) -> None:
    assert write({"image": make("a.png"), "score": 1.0}, annotation) == {"image": "~/a.png", "score": 1.0}


def test_files_of_one_name_do_not_overwrite_each_other(write: Write, receiver: PutReceiver, make: Make) -> None:
    first = write([make("x/out.png"), make("y/out.png")])

    assert first == ["~/out.png", "~/out-1.png"]
    assert write(make("z/out.png")) == "~/out-2.png"
    assert receiver.at("/out-1.png")[0].body == b"content of y/out.png"


def test_an_open_file_is_sent_from_its_beginning(
    write: Write, receiver: PutReceiver, make: Make, tmp_path: Path
) -> None:
    opened, written = File(make("a.txt")), io.BytesIO()
    opened.read()
    written.write(b"bytes")

    assert write([opened, written, io.StringIO("text")]) == ["~/a.txt", "~/output", "~/output-1"]
    assert [receiver.at(path)[0].body for path in ("/a.txt", "/output", "/output-1")] == [
        b"content of a.txt",
        b"bytes",
        b"text",
    ]
    assert not list((tmp_path / "scope").iterdir())  # copies are gone


def test_an_open_file_may_stand_twice(write: Write, receiver: PutReceiver) -> None:
    file = io.BytesIO(b"bytes")

    assert write([file, file]) == ["~/output", "~/output-1"]
    assert {put.body for put in receiver.puts} == {b"bytes"}


def test_what_cannot_be_read_sends_nothing(write: Write, receiver: PutReceiver, make: Make) -> None:
    closed = io.BytesIO()
    closed.close()
    for faulty in (FilePath("/nowhere/x"), FilePath("/"), closed, object(), float("nan")):
        with pytest.raises(OutputError):
            write([make("a"), faulty])

    assert receiver.puts == []


def test_the_first_failure_ends_the_rest(write: Write, receiver: PutReceiver, make: Make) -> None:
    for number in range(3):
        receiver.hold(f"/{number}")
    receiver.answers["/3"] = [403]

    with pytest.raises(UploadError, match="status 403 Forbidden"):
        write([make(f"{number}") for number in range(8)])

    assert receiver.answered == ["/3"]


def test_the_url_counts_and_not_the_file(write: Write, tmp_path: Path) -> None:
    (tmp_path / "large.bin").write_bytes(bytes(1_000_000))

    assert write(FilePath(tmp_path / "large.bin"), FilePath, max_bytes=100) == "~/large.bin"


def test_values_without_files_are_not_touched(write: Write, receiver: PutReceiver) -> None:
    assert [write(value) for value in ("text", 1, None, ["x"])] == ["text", 1, None, ["x"]]
    assert receiver.puts == []
