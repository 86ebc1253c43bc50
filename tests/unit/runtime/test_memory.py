"""The memory of real processes."""

import subprocess
import sys

import pytest

from servekit.runtime.memory import measure_tree, measure_trees

MEGABYTE = 1 << 20
HOLDER = f"held = b'x' * (50 * {MEGABYTE}); print(flush=True); input()"
PARENT = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {HOLDER!r}])"


@pytest.mark.parametrize("code", [HOLDER, PARENT], ids=["itself", "child"])
def test_memory_is_that_of_a_process_and_of_its_children(code: str) -> None:
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()

        measured = measure_tree(process.pid)

        process.communicate(b"\n")
    assert 50 * MEGABYTE < measured < 200 * MEGABYTE


def test_a_process_that_is_gone_takes_no_memory() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()

    assert measure_tree(process.pid) == 0


def test_trees_that_are_measured_together_do_not_mix() -> None:
    with (
        subprocess.Popen([sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as large,
        subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as small,
    ):
        assert large.stdout is not None
        large.stdout.readline()

        sizes = measure_trees([large.pid, small.pid])

        large.communicate(b"\n")
        small.communicate(b"\n")
    assert sizes[large.pid] > 50 * MEGABYTE > sizes[small.pid] > 0
