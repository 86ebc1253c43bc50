"""Standard streams that a parent has closed."""

import subprocess
import sys

import pytest

CODE = """
import os, sys
from servekit_cli.streams import open_standard_streams

open_standard_streams()
read = sys.stdin.read()
print("said")
print("complained", file=sys.stderr)
sys.exit(0 if read == "" and os.open(os.devnull, os.O_RDONLY) > 2 else 1)
"""


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_stream_that_is_closed_is_one_on_nothing_and_its_number_is_no_files(closed: str) -> None:
    command = ["sh", "-c", f'exec "$0" -c "$1" {closed}', sys.executable, CODE]

    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert done.stdout == ("" if ">&-" in closed.replace("2>&-", "") else "said\n")
    assert done.stderr == ("" if "2>&-" in closed else "complained\n")


def test_a_command_whose_stdin_is_closed_finds_it_empty() -> None:
    program = "from servekit_cli.main import main; main()"
    command = ["sh", "-c", 'exec "$0" -c "$1" predict --json - <&-', sys.executable, program]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert "stdin is not JSON" in done.stderr
