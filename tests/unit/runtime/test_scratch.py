"""Folders for temporary files, and what becomes of them when nobody removes them."""

import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from servekit.runtime import scratch
from servekit.runtime.scratch import ScratchFolder, sweep

HOLD = """
import sys
from servekit.runtime import scratch
from servekit.runtime.scratch import ScratchFolder
folder = ScratchFolder()
(folder.path / "1").mkdir()
(folder.path / "1" / "upload").write_text("what somebody sent")
print(folder.path, flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for temporary files in which nobody else makes any."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def holder() -> Iterator["subprocess.Popen[bytes]"]:
    """Another process, which has a folder."""
    command = (sys.executable, "-c", HOLD)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield process
        process.kill()


def path_of(holder: "subprocess.Popen[bytes]") -> Path:
    assert holder.stdout is not None
    return Path(holder.stdout.readline().decode().strip())


def test_a_folder_is_new_and_for_its_user_alone() -> None:
    first, second = ScratchFolder(), ScratchFolder()

    assert first.path != second.path
    assert first.path.stat().st_mode & 0o777 == 0o700


def test_a_folder_goes_with_all_that_is_in_it() -> None:
    folder = ScratchFolder()
    (folder.path / "1").mkdir()

    folder.remove()
    folder.remove()

    assert not folder.path.exists()


def test_what_a_killed_process_has_left_is_swept(holder: "subprocess.Popen[bytes]") -> None:
    left = path_of(holder)
    holder.kill()
    holder.wait()
    assert (left / "1" / "upload").exists()

    sweep()

    assert not left.exists()


def test_the_folder_of_a_living_process_is_not_swept(holder: "subprocess.Popen[bytes]") -> None:
    held = path_of(holder)

    sweep()

    assert (held / "1" / "upload").exists()


def test_an_own_folder_is_not_swept() -> None:
    folder = ScratchFolder()

    sweep()

    assert folder.path.exists()


@pytest.mark.parametrize("name", ["servekit-files-", "servekit-files-notes", "my-servekit-files-abcd1234", "servekit"])
def test_a_folder_with_another_name_is_not_swept(place: Path, name: str) -> None:
    (place / name).mkdir()

    sweep()

    assert (place / name).exists()


def test_what_a_link_leads_to_is_not_swept(place: Path) -> None:
    (place / "elsewhere").mkdir()
    (place / "elsewhere" / "kept").touch()
    (place / "servekit-files-abcd1234").symlink_to(place / "elsewhere", target_is_directory=True)

    sweep()

    assert (place / "elsewhere" / "kept").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
def test_the_folder_of_another_user_is_not_swept(place: Path) -> None:
    folder = place / "servekit-files-abcd1234"
    folder.mkdir()
    os.chown(folder, 12345, 12345)

    sweep()

    assert folder.exists()


def test_a_sweep_that_finds_no_folder_for_temporary_files_says_nothing(place: Path) -> None:
    shutil.rmtree(place)

    sweep()


def test_a_folder_that_a_sweep_takes_before_it_is_held_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    lock = scratch._lock
    sweeps = iter([sweep])

    def lock_after_a_sweep(descriptor: int) -> bool:
        next(sweeps, bool)()
        return lock(descriptor)

    monkeypatch.setattr(scratch, "_lock", lock_after_a_sweep)

    folder = ScratchFolder()

    assert next(sweeps, None) is None
    assert folder.path.exists()


def test_a_folder_that_is_made_during_sweeps_is_there_to_stay() -> None:
    done = threading.Event()

    def sweep_all_the_time() -> None:
        while not done.is_set():
            sweep()

    sweeper = threading.Thread(target=sweep_all_the_time)
    sweeper.start()
    try:
        folders = [ScratchFolder() for _ in range(300)]
    finally:
        done.set()
        sweeper.join()

    assert all(folder.path.exists() for folder in folders)
    for folder in folders:
        folder.remove()
