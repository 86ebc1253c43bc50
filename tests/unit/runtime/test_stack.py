"""Stacks of other processes, and what the kernel says of one."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from servekit.runtime.stack import STACK_SIGNAL, StackPipe, describe_state, shorten_stack

PYTHON = "/usr/lib/python3.12"
DUMP = f"""\
Thread 0x00007f01 (most recent call first):
  File "{PYTHON}/concurrent/futures/thread.py", line 81 in _worker
  File "{PYTHON}/threading.py", line 975 in run

Thread 0x00007f02 (most recent call first):
  File "{PYTHON}/json/decoder.py", line 355 in raw_decode
  File "/srv/servekit/predict.py", line 8 in predict
  File "{PYTHON}/site-packages/servekit/runtime/execution.py", line 134 in _in_thread
  File "{PYTHON}/site-packages/servekit/threads/context.py", line 59 in run
  File "{PYTHON}/threading.py", line 975 in run

Current thread 0x00007f03 (most recent call first):
  File "{PYTHON}/asyncio/runners.py", line 118 in run
  File "{PYTHON}/site-packages/servekit/runtime/child.py", line 42 in main
  File "<frozen runpy>", line 88 in _run_code
"""


def test_frames_on_the_way_and_idle_threads_are_left_out() -> None:
    assert shorten_stack(DUMP) == (
        "Thread 0x00007f02 (most recent call first):\n"
        f'  File "{PYTHON}/json/decoder.py", line 355 in raw_decode\n'
        '  File "/srv/servekit/predict.py", line 8 in predict\n\n'
        "(2 more that run none of the model's code)"
    )


def test_a_stack_without_the_authors_code_is_kept_whole() -> None:
    ours = DUMP[DUMP.index("Current thread") :]

    assert shorten_stack(ours) == ours.strip()


@pytest.fixture
def pipe() -> Generator[StackPipe]:
    pipe = StackPipe()
    yield pipe
    pipe.close()
    pipe.close()


@contextmanager
def running(pipe: StackPipe, code: str) -> Generator[subprocess.Popen[str]]:
    """Run a program that knows the pipe, until the block ends; it says that it is there before."""
    program = f"import faulthandler, time\npipe = {pipe.write_end}\n{code}\nprint('here', flush=True)\ntime.sleep(600)"
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, pass_fds=[pipe.write_end], text=True
    )
    assert process.stdout is not None
    try:
        process.stdout.readline()
        pipe.hand_over()
        yield process
    finally:
        process.kill()
        process.communicate()


REGISTER = f"faulthandler.register({STACK_SIGNAL}, file=pipe)"


async def test_a_process_writes_its_stack_when_asked(pipe: StackPipe) -> None:
    with running(pipe, REGISTER) as process:
        stacks = [await pipe.ask(process.pid, 10) for _ in range(2)]

        assert all('File "<string>", line' in stack for stack in stacks)
        assert process.poll() is None


async def test_a_process_that_does_not_handle_the_signal_is_left_alone(pipe: StackPipe) -> None:
    with running(pipe, "") as process:
        assert await pipe.ask(process.pid, 10) == ""
        assert process.poll() is None


async def test_a_pipe_that_nobody_reads_holds_nobody_up(pipe: StackPipe) -> None:
    with running(pipe, f"{REGISTER}\nimport os\nos.write(pipe, bytes(1 << 20))") as process:
        assert 'File "<string>"' in await pipe.ask(process.pid, 10)


async def test_a_stopped_process_is_waited_for_no_longer_than_said(pipe: StackPipe) -> None:
    with running(pipe, REGISTER) as process:
        process.send_signal(signal.SIGSTOP)
        while describe_state(process.pid) is None:
            await asyncio.sleep(0.01)

        assert await pipe.ask(process.pid, 0.2) == ""
        process.send_signal(signal.SIGCONT)
        assert 'File "<string>", line' in await pipe.ask(process.pid, 10)


@pytest.mark.parametrize(
    ("state", "words"),
    [("T", "stopped by a signal"), ("t", "debugger"), ("D", "cannot be interrupted"), ("S", None), ("R", None)],
)
def test_what_the_kernel_says_is_put_into_words(tmp_path: Path, state: str, words: str | None) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "stat").write_text(f"7 (a) R (b) {state} 1 7 7 0")

    told = describe_state(7, tmp_path)

    assert (told is None) == (words is None)
    assert (words or "") in (told or "")


def test_a_process_that_is_gone_has_no_state() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()

    assert describe_state(process.pid) is None
    assert describe_state(os.getpid()) is None
