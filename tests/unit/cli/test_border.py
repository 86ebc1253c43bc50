import os
import subprocess
import sys
from collections.abc import Callable

import pytest
import typer

from servekit.errors import SpecError
from servekit_cli.border import guard
from servekit_cli.terminal import paint


def run(command: Callable[[], int | None], *, is_debug: bool = False) -> int:
    """Run a command behind the border, and give its exit code."""
    with pytest.raises(typer.Exit) as caught:
        guard(command, is_debug=is_debug)()
    return caught.value.exit_code


def raising(error: BaseException) -> Callable[[], int]:
    def command() -> int:
        raise error

    return command


def test_a_command_that_returns_nothing_is_done() -> None:
    assert run(lambda: None) == 0


def test_a_command_decides_its_exit_code() -> None:
    assert run(lambda: 1) == 1


def test_an_error_of_ours_exits_with_its_own_code() -> None:
    assert run(raising(SpecError("no"))) == SpecError.exit_code


def test_an_error_of_ours_is_told_without_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    run(raising(SpecError("servekit.yaml:1: no")))

    assert capsys.readouterr().err == "Error: servekit.yaml:1: no\n"


def test_debug_shows_where_an_error_comes_from(capsys: pytest.CaptureFixture[str]) -> None:
    run(raising(SpecError("no")), is_debug=True)

    assert "Traceback" in capsys.readouterr().err


def test_an_interrupt_exits_with_130() -> None:
    assert run(raising(KeyboardInterrupt())) == 130


def test_a_fault_of_ours_says_how_to_see_more(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(raising(ZeroDivisionError("division by zero"))) == 70

    assert "servekit --debug" in capsys.readouterr().err


def test_a_character_that_the_terminal_lacks_is_no_error() -> None:
    script = "from servekit_cli.border import guard; guard(lambda: print('\\u2192'), is_debug=False)()"
    environ = {**os.environ, "PYTHONIOENCODING": "latin-1"}

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False, env=environ)

    assert done.stdout == b"\\u2192\n"


def test_a_terminal_gets_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")

    assert paint("Error", "red") == "\x1b[31mError\x1b[0m"


def test_no_color_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("NO_COLOR", "1")

    assert paint("Error", "red") == "Error"


def test_a_pipe_gets_no_colours() -> None:
    assert paint("Error", "red") == "Error"
