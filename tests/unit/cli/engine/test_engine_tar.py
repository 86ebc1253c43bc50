"""Sending a build context."""

import io
import os
import socket
import tarfile
import tracemalloc
from pathlib import Path

from servekit_cli.engine.tar import list_context, stream_tar


def read(root: Path) -> tarfile.TarFile:
    data = b"".join(stream_tar(root, list_context(root, "Dockerfile")))
    return tarfile.open(fileobj=io.BytesIO(data))


def test_files_folders_and_links_arrive_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir(mode=0o750)
    (tmp_path / "folder" / ("long" * 60)).write_bytes(b"x" * 1000)
    (tmp_path / "program").write_bytes(b"#!")
    (tmp_path / "program").chmod(0o755)
    os.utime(tmp_path / "program", (1, 1_000_000_000.5))
    (tmp_path / "dangling").symlink_to("../nowhere/./x")

    with read(tmp_path) as tar:
        members = {member.name: member for member in tar}
        long = tar.extractfile(f"folder/{'long' * 60}")

        assert long is not None
        assert long.read() == b"x" * 1000
    assert members["folder"].isdir()
    assert members["folder"].mode == 0o750
    assert (members["program"].mode, members["program"].mtime) == (0o755, 1_000_000_000)
    assert members["dangling"].linkname == "../nowhere/./x"
    assert {(member.uid, member.gid, member.uname) for member in members.values()} == {(0, 0, "")}


def test_what_is_no_file_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("")
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))

        with read(tmp_path) as tar:
            assert tar.getnames() == ["kept"]


def test_the_ignore_file_counts(tmp_path: Path) -> None:
    (tmp_path / ".dockerignore").write_text("# all but one\n*\n!kept\n")
    for name in ("kept", "dropped", "Dockerfile"):
        (tmp_path / name).write_text("")

    assert list_context(tmp_path, "Dockerfile") == [".dockerignore", "Dockerfile", "kept"]


def test_a_large_file_is_never_in_memory(tmp_path: Path) -> None:
    size = 200_000_000
    with (tmp_path / "large").open("wb") as file:
        file.truncate(size)
    tracemalloc.start()

    sent = sum(len(piece) for piece in stream_tar(tmp_path, ["large"]))

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sent > size
    assert peak < 10_000_000


def test_a_file_that_shrinks_meanwhile_keeps_the_archive_readable(tmp_path: Path) -> None:
    path = tmp_path / "shrinks"
    path.write_bytes(b"x" * 3_000_000)
    pieces = stream_tar(tmp_path, ["shrinks"])
    header = next(pieces)
    path.write_bytes(b"y")

    data = header + b"".join(pieces)

    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        assert [member.size for member in tar] == [3_000_000]
