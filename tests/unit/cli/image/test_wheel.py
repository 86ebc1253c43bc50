import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import servekit
from servekit_cli.image.wheel import OwnSource, find_own_source


def make_installed(folder: Path, version: str, **files: str) -> None:
    info = folder / f"servekit-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: servekit\nVersion: {version}\n")
    for name, text in files.items():
        (info / name).write_text(text)


def test_a_release_comes_from_the_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_installed(tmp_path, "7.8.9")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])

    source = find_own_source()

    assert (source, source.requirement) == (OwnSource("7.8.9", None), "servekit==7.8.9")


@pytest.mark.parametrize(
    "origin",
    [
        '{"url": "file:///src", "dir_info": {"editable": true}}',
        '{"url": "file:///src/servekit.whl", "archive_info": {}}',
        '{"url": "https://example.org/x.git", "vcs_info": {"vcs": "git", "commit_id": "1"}}',
    ],
)
def test_what_no_index_can_be_relied_on_to_have_comes_as_a_wheel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, origin: str
) -> None:
    make_installed(tmp_path, "7.8.9", **{"direct_url.json": origin})
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])

    assert find_own_source().wheel == "servekit-7.8.9-py3-none-any.whl"


@pytest.fixture
def development() -> OwnSource:
    version = servekit.__version__
    return OwnSource(version, f"servekit-{version}-py3-none-any.whl")


def test_the_wheel_installs_without_network_and_runs(tmp_path: Path, development: OwnSource) -> None:
    wheel = development.write_wheel(tmp_path)
    uv = [sys.executable, "-m", "uv", "--quiet", "--offline", "--no-config"]
    subprocess.run([*uv, "venv", "--python", sys.executable, tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([*uv, "pip", "install", "--python", python, "--no-deps", wheel], check=True)

    code = "import servekit, servekit.server.healthcheck; print(servekit.__version__, servekit.__file__)"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)

    version, file = done.stdout.split()
    assert version == development.version
    assert Path(file).is_relative_to(tmp_path / "venv")


def test_the_wheel_holds_the_runtime_and_not_the_command_line(tmp_path: Path, development: OwnSource) -> None:
    with zipfile.ZipFile(development.write_wheel(tmp_path)) as wheel:
        names = set(wheel.namelist())

    assert {"servekit/server/__main__.py", "servekit/server/docs.html", "servekit/py.typed"} < names
    assert {name.partition("/")[0] for name in names} == {"servekit", f"servekit-{development.version}.dist-info"}
    assert not any("__pycache__" in name for name in names)


def test_the_same_files_give_the_same_bytes(tmp_path: Path, development: OwnSource) -> None:
    first = development.write_wheel(tmp_path).read_bytes()
    (tmp_path / "again").mkdir()

    second = development.write_wheel(tmp_path / "again").read_bytes()

    assert first == second


def test_a_wheel_that_is_there_and_the_same_stays_untouched(tmp_path: Path, development: OwnSource) -> None:
    wheel = development.write_wheel(tmp_path)
    os.utime(wheel, (1, 1))

    development.write_wheel(tmp_path)

    assert wheel.stat().st_mtime == 1


def test_a_wheel_of_other_code_is_replaced(tmp_path: Path, development: OwnSource) -> None:
    wheel = development.write_wheel(tmp_path)
    whole = wheel.read_bytes()
    wheel.write_bytes(b"old")

    development.write_wheel(tmp_path)

    assert wheel.read_bytes() == whole
