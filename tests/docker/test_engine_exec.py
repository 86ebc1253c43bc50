"""`servekit run`: a command in the environment of an image."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest

from tests.docker.conftest import MakeImage

SERVEKIT = str(Path(sysconfig.get_path("scripts")) / "servekit")
DEADLINE_SECONDS = 30


@pytest.fixture
def image(make_image: MakeImage) -> str:
    return make_image("FROM python:3.12-slim\nENV FROM_IMAGE=1\nUSER 10001\n")


def run(*arguments: str, data: str = "") -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [SERVEKIT, *arguments], input=data, capture_output=True, text=True, check=False, timeout=DEADLINE_SECONDS
    )


@pytest.mark.parametrize("name", ["run", "exec"])
def test_a_command_has_the_image_and_its_own_exit_code(image: str, name: str) -> None:
    program = "import os, sys; print(os.getuid(), sys.argv); print('why', file=sys.stderr); sys.exit(7)"

    done = run(name, image, "python", "-c", program, "--help", "-x")

    assert done.stdout == "10001 ['-c', '--help', '-x']\n"
    assert done.stderr == "why\n"
    assert done.returncode == 7


def test_stdin_reaches_the_command_to_its_end(image: str) -> None:
    data = "a line\n" * 100_000

    done = run("run", image, "sha256sum", data=data)

    expected = subprocess.run(["sha256sum"], input=data, capture_output=True, text=True, check=True).stdout
    assert done.stdout == expected


def test_variables_files_and_the_network_are_passed(image: str, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)  # the user in the container is another one
    (tmp_path / "file").write_text("contents\n")
    command = "cat /given/file; echo $FROM_IMAGE $MINE; ls /sys/class/net"

    done = run("run", "-e", "MINE=2", "-v", f"{tmp_path}:/given:ro", "--network", "none", image, "sh", "-c", command)

    assert done.stdout == "contents\n1 2\nlo\n"


def test_a_program_that_the_image_lacks_is_said_to_be_missing(image: str) -> None:
    done = run("run", image, "no-such-program")

    assert done.returncode == 13
    assert "no-such-program" in done.stderr


@pytest.mark.usefixtures("engine")
def test_an_image_that_is_not_there_is_said_to_be_missing() -> None:
    done = run("run", "servekit-test/missing", "true")

    assert done.returncode == 12
    assert 'no image "servekit-test/missing"' in done.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_command_in_order(image: str, number: signal.Signals, code: int) -> None:
    program = "trap 'echo cleaned up; exit 0' TERM; echo ready; while :; do sleep 0.05; done"
    with subprocess.Popen([SERVEKIT, "run", image, "sh", "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"

        process.send_signal(number)

        process.stdout.read()
        assert process.wait(DEADLINE_SECONDS) == code


def test_on_a_terminal_the_command_has_one(image: str) -> None:
    script = "import sys; from servekit_cli.main import main; main()"
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-c", script, "run", image, "sh"])  # the program under test
    seen = read_until(terminal, r"\$ $")
    os.write(terminal, b"stty size; tty\n")
    seen += read_until(terminal, r"/dev/\S+\r\n\$ $")

    os.write(terminal, b"sleep 100\n\x03")  # Ctrl-C is the command's
    seen += read_until(terminal, r"\^C\r\n\$ $")
    os.write(terminal, b"exit 5\n")

    seen += read_until(terminal, None)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 5, seen
    assert re.search(r"\r\n\d+ \d+\r\n/dev/pts/\d+", seen)


def read_until(terminal: int, pattern: str | None) -> str:
    """Read what a terminal shows until its end fits a pattern, or until it is closed."""
    seen = ""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while pattern is None or not re.search(pattern, seen):
        assert time.monotonic() < deadline, seen
        if select.select([terminal], [], [], 1)[0]:
            try:
                seen += os.read(terminal, 1 << 16).decode()
            except OSError:  # the other end is closed
                return seen
    return seen
