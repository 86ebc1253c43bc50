import subprocess
import sys
from pathlib import Path

import pytest

import servekit
from servekit.runtime.death import describe_exit
from servekit.runtime.failure import author_traceback, describe


def fail() -> None:
    raise ValueError("boom")


def test_an_error_is_described_as_in_a_traceback() -> None:
    with pytest.raises(ValueError, match="boom") as caught:
        fail()

    assert describe(caught.value) == "ValueError: boom"
    assert "in fail" in author_traceback(caught.value)


def test_frames_of_ours_are_left_out_where_the_package_is_a_link(tmp_path: Path) -> None:
    (tmp_path / "servekit").symlink_to(Path(servekit.__file__).parent, target_is_directory=True)
    (tmp_path / "predict.py").write_text("raise ValueError('boom')\n")
    code = (
        "import pathlib\n"
        "from servekit.importer import import_target\n"
        "from servekit.runtime.failure import author_traceback\n"
        "try: import_target('predict.py:X', pathlib.Path())\n"
        "except ValueError as error: print(author_traceback(error.with_traceback(error.__traceback__.tb_next)))"
    )

    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert "ValueError: boom" in done.stdout, done.stderr
    assert "import_target" not in done.stdout


class UnspeakableError(SyntaxError):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class NoRepr:
    def __repr__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize("error", [UnspeakableError(), SystemExit(NoRepr()), ValueError(NoRepr())])
def test_an_error_that_cannot_say_what_it_is_is_named_all_the_same(error: BaseException) -> None:
    assert type(error).__name__ in describe(error)
    assert type(error).__name__ in author_traceback(error)


def test_a_traceback_shows_a_chain_of_any_length() -> None:
    error = ValueError("0")
    for number in range(1, 3000):
        later = ValueError(str(number))
        later.__cause__ = error
        error = later

    assert author_traceback(error).rstrip().endswith("ValueError: 2999")


def test_sys_exit_is_named() -> None:
    assert describe(SystemExit(3)) == "SystemExit: the model called sys.exit(3)"


@pytest.mark.parametrize(
    ("code", "words"),
    [(0, "exited with code 0"), (-9, "out-of-memory"), (-11, "segmentation fault"), (-64, "SIGRTMAX|signal 64")],
)
def test_an_exit_code_is_put_into_words(code: int, words: str) -> None:
    assert any(word in describe_exit(code) for word in words.split("|"))
