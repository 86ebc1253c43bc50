"""The types of servekit by themselves, and under pydantic."""

import io
import os
import pathlib
import pickle
import subprocess
import sys

import pydantic
import pytest

from servekit.types import File, Path, Secret


class Resolver:
    def __init__(self, path: pathlib.Path) -> None:
        self.path = path

    def resolve(self, value: str) -> pathlib.Path:
        return self.path / value


def test_a_path_is_a_pathlib_path_and_stays_one_of_ours(tmp_path: pathlib.Path) -> None:
    path = Path(tmp_path) / "a.txt"

    path.write_text("hi")

    assert isinstance(path, pathlib.Path)
    assert (type(path), type(path.parent), path.read_text(), os.fspath(path)) == (Path, Path, "hi", f"{tmp_path}/a.txt")


def test_a_path_can_be_pickled() -> None:
    assert pickle.loads(pickle.dumps(Path("/a/b"))) == Path("/a/b")


def test_a_file_reads_like_an_open_binary_file(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"one\ntwo\n")

    with File(tmp_path / "a.txt") as file:
        assert isinstance(file, io.BufferedIOBase)
        assert (file.read(3), file.readline(), list(file)) == (b"one", b"\n", [b"two\n"])


def test_a_file_that_is_forgotten_is_closed_without_a_warning(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"")

    File(tmp_path / "a.txt")  # warnings are errors here


def test_a_file_input_is_opened_from_what_the_resolver_gives(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"hi")
    adapter = pydantic.TypeAdapter(list[File])

    [file] = adapter.validate_json('["a.txt"]', context={"files": Resolver(tmp_path)})

    assert file.read() == b"hi"


def test_a_path_input_without_a_resolver_is_refused() -> None:
    with pytest.raises(pydantic.ValidationError, match="files cannot be taken here"):
        pydantic.TypeAdapter(Path).validate_json('"/etc/passwd"')


def test_a_secret_never_shows_itself() -> None:
    secret = Secret("tiger")

    assert "tiger" not in f"{secret} {secret!r} {[secret]}"
    assert secret.get_secret_value() == "tiger"


def test_secrets_compare_by_value() -> None:
    assert Secret("a") == Secret("a")
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2


def test_a_model_with_a_secret_is_written_with_asterisks() -> None:
    class Login(pydantic.BaseModel):
        token: Secret

    assert Login(token=Secret("tiger")).model_dump_json() == '{"token":"**********"}'


def test_a_wrong_secret_is_not_shown_by_the_error() -> None:
    with pytest.raises(pydantic.ValidationError, match="should be a string"):
        pydantic.TypeAdapter(Secret).validate_json("[1]")


def test_the_types_and_the_predictor_are_imported_without_pydantic() -> None:
    code = "import sys, servekit.types, servekit.predictor; print('pydantic' in sys.modules, 'urllib3' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["False", "False"]
