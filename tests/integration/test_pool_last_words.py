"""How a worker's death is told from another, and that nothing holds up the end of its predictions."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from pools import RunPool, ended, start

from servekit.runtime import process_handle
from servekit.runtime.prediction import EventKind, Status

# The child lives in a session of its own, out of reach, and holds the worker's pipes and its socket open.
WITH_A_CHILD = """
    import ctypes, os, signal, socket, sys, time
    from pathlib import Path
    def go_without_a_socket():
        socket.socket(fileno=int(sys.argv[2])).shutdown(socket.SHUT_RDWR)
        while True:
            try:
                time.sleep(0.01)
            except BaseException:
                pass
    class Predictor:
        def setup(self) -> None:
            if Path("child").exists():
                return
            child = os.fork()
            if not child:
                os.setsid()
                time.sleep(600)
                os._exit(0)
            Path("child").write_text(str(child))
        def predict(self, die: bool = True) -> str:
            if die:
                {end}
            return "alive"
"""


def end_child(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def test_a_dead_workers_predictions_are_to_end_within_a_second() -> None:
    assert process_handle._SOCKETLESS_SECONDS + process_handle._LAST_WORDS_SECONDS < 1.0


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "ended by SIGKILL"),
        ("os._exit(7)", "exited with code 7"),
        ("ctypes.string_at(0)", "SIGSEGV: a segmentation fault"),
        ("go_without_a_socket()", "closed its connection to the server while it went on"),
    ],
)
async def test_a_child_that_holds_everything_open_does_not_hold_up_the_end(
    run_pool: RunPool, tmp_path: Path, end: str, reason: str
) -> None:
    async with run_pool(WITH_A_CHILD.format(end=end), cancel_grace=60) as pool:
        child = int((tmp_path / "project" / "child").read_text())
        try:
            dying = await ended(start(pool))
            after = await ended(start(pool, die=False))
            os.kill(child, 0)  # it still holds them
        finally:
            end_child(child)

    assert dying.status is Status.FAILED
    assert reason in str(dying.error)
    assert after.output == b'"alive"'


async def test_a_thread_that_goes_on_does_not_keep_a_replaced_worker_alive(
    run_pool: RunPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = """
        import asyncio, time
        class Predictor:
            async def predict(self) -> None:
                print("begun")
                await asyncio.to_thread(time.sleep, 600)
    """
    monkeypatch.setattr(process_handle, "_FAREWELL_SECONDS", 0.2)
    async with run_pool(code) as pool:
        (old,) = pool.workers
        prediction = start(pool)
        while EventKind.LOG not in prediction.kinds:
            await asyncio.wait_for(prediction.changed(len(prediction.kinds)), 20)
        pool.cancel(prediction, "enough")
        await ended(prediction)
        await pool.reload()
        async with asyncio.timeout(20):
            while old in pool.workers:
                await asyncio.sleep(0.01)


def find_memory_group() -> Path | None:
    """Return a control group of this machine below which one with a limit can be made."""
    for group, limit in (("memory", "memory.limit_in_bytes"), ("", "memory.max")):
        folder = Path("/sys/fs/cgroup", group, f"servekit-test-{os.getpid()}")
        with suppress(OSError):
            folder.mkdir()
            is_limitable = (folder / limit).exists()
            folder.rmdir()
            if is_limitable:
                return folder
    return None


@contextmanager
def limited_group(limit_bytes: int) -> Generator[Path]:
    """Make a control group that may take so much memory."""
    folder = find_memory_group()
    if folder is None:
        pytest.skip("no control group with a limit can be made here")
    folder.mkdir()
    try:
        limit = folder / "memory.max"
        (limit if limit.exists() else folder / "memory.limit_in_bytes").write_text(str(limit_bytes))
        yield folder
    finally:
        folder.rmdir()


# A server of its own, since it is the server's control group that is limited, and the workers are in it.
GREEDY_SERVER = """
    import asyncio, os, pathlib, signal, sys
    from servekit.runtime.pool import Pool
    from servekit.spec import load_spec
    pathlib.Path(sys.argv[2], "cgroup.procs").write_text(str(os.getpid()))
    async def main():
        pool = Pool(load_spec(pathlib.Path(sys.argv[1])), python=sys.executable)
        await pool.start(); pool.set_up(); await pool.ready()
        for text in (b'{"eat": true}', b'{"eat": false}'):
            prediction = pool.new_prediction(text)
            pool.submit(prediction)
            await prediction.done()
            print(prediction.error, flush=True)
        await pool.close(0)
    asyncio.run(main())
"""


def test_a_worker_that_the_kernel_kills_for_memory_is_told_from_one_that_is_killed(tmp_path: Path) -> None:
    (tmp_path / "servekit.yaml").write_text("predictor: predict.py:predict\n")
    (tmp_path / "predict.py").write_text(
        textwrap.dedent("""
            import os, signal
            def predict(eat: bool) -> int:
                held = []
                while eat:
                    held.append(os.urandom(10_000_000))
                os.kill(os.getpid(), signal.SIGKILL)
                return 0
        """)
    )
    with limited_group(250_000_000) as group:
        server = [sys.executable, "-c", textwrap.dedent(GREEDY_SERVER), str(tmp_path), str(group)]
        told = subprocess.run(server, capture_output=True, text=True, timeout=60, check=False)

    greedy, killed = told.stdout.splitlines()
    assert "SIGKILL: the kernel's out-of-memory killer ended it. Give the container more memory" in greedy
    assert "SIGKILL: somebody's kill -9; the kernel's out-of-memory killer has not struck" in killed
