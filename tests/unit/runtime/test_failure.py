import pytest

from servekit.runtime.death import describe_exit
from servekit.runtime.failure import author_traceback, describe


def fail() -> None:
    raise ValueError("boom")


def test_an_error_is_described_as_in_a_traceback() -> None:
    with pytest.raises(ValueError, match="boom") as caught:
        fail()

    assert describe(caught.value) == "ValueError: boom"
    assert "in fail" in author_traceback(caught.value)


def test_sys_exit_is_named() -> None:
    assert describe(SystemExit(3)) == "SystemExit: the model called sys.exit(3)"


@pytest.mark.parametrize(
    ("code", "words"),
    [(0, "exited with code 0"), (-9, "out-of-memory"), (-11, "segmentation fault"), (-64, "SIGRTMAX|signal 64")],
)
def test_an_exit_code_is_put_into_words(code: int, words: str) -> None:
    assert any(word in describe_exit(code) for word in words.split("|"))
