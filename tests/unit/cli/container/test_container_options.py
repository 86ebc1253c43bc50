import re
from pathlib import Path

import pytest

from servekit.errors import UsageError
from servekit_cli.container.options import Mount, read_gpus, read_memory, read_mount
from servekit_cli.variables import read_variables


def test_the_flag_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "variables"
    file.write_text("# ours\n\nONE=1\n  TWO=a = b \n")

    assert read_variables(["ONE=x"], [file]) == {"ONE": "x", "TWO": "a = b"}


def test_a_name_alone_passes_a_variable_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "secret")
    monkeypatch.delenv("MISSING", raising=False)

    assert read_variables(["TOKEN", "MISSING"], []) == {"TOKEN": "secret"}


def test_what_is_no_variable_is_told_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "variables"
    file.write_text("GOOD=1\nnot one\n")

    with pytest.raises(UsageError, match=re.escape(f'{file}:2 has "not one", which is no variable')):
        read_variables([], [file])


def test_a_file_of_variables_that_is_no_text(tmp_path: Path) -> None:
    file = tmp_path / "variables"
    file.write_bytes(b"\xff\xfe")

    with pytest.raises(UsageError, match="not UTF-8"):
        read_variables([], [file])


@pytest.mark.parametrize(("text", "size"), [("512m", 512 * 1024**2), ("2g", 2 * 1024**3), ("100", 100)])
def test_memory_is_read_as_docker_reads_it(text: str, size: int) -> None:
    assert read_memory(text) == size


@pytest.mark.parametrize("text", ["", "lots", "-1", "1x"])
def test_memory_that_cannot_be_read(text: str) -> None:
    with pytest.raises(UsageError, match=f'--memory is "{text}"'):
        read_memory(text)


@pytest.mark.parametrize("text", ["auto", "all", "none", "0", "0,1", "GPU-8a2f"])
def test_gpus_that_can_be_asked_for(text: str) -> None:
    assert read_gpus(text) == text


@pytest.mark.parametrize("text", ["", "0 1", ",", "all;"])
def test_gpus_that_cannot_be_asked_for(text: str) -> None:
    with pytest.raises(UsageError, match=f'--gpus is "{text}"'):
        read_gpus(text)


def test_paths_of_mounts_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/ada")

    assert read_mount("./data:/data") == Mount(f"{tmp_path}/data", "/data", is_read_only=False)
    assert read_mount("~/data:/data:ro") == Mount("/home/ada/data", "/data", is_read_only=True)


def test_a_name_without_a_slash_is_a_volume() -> None:
    mount = read_mount("cache:/cache")

    assert mount.source == "cache"
    assert mount.is_volume


@pytest.mark.parametrize("text", ["data", "data:", ":/data", "data:relative", "data:/data:rx"])
def test_mounts_that_cannot_be_read(text: str) -> None:
    with pytest.raises(UsageError, match=f'--volume is "{text}"'):
        read_mount(text)
