import os
from pathlib import Path
from typing import Any

import pytest

from servekit.errors import UsageError
from servekit_cli.targets import STDOUT, check_place, check_target, parse_target

FILE = {"type": "string", "format": "uri"}
TEXT = {"type": "string"}
FILES = {"type": "array", "items": FILE}
PAGE = {"type": "object", "properties": {"image": FILE}}


def test_a_dash_is_stdout_and_a_file_of_that_name_can_be_written_as_well() -> None:
    assert (parse_target("-"), parse_target("./-"), parse_target(None)) == (STDOUT, Path("-"), None)


def test_a_folder_that_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no folder"):
        check_place(tmp_path / "nowhere" / "out.png")


def test_a_place_that_cannot_be_written_to_is_told() -> None:
    with pytest.raises(UsageError, match=r"/proc/out\.png cannot be written to: .*\nName another file with -o"):
        check_place(Path("/proc/out.png"))


def test_a_place_that_can_be_written_to_stays_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("old")

    for name in ("old", "new", "."):
        check_place(tmp_path / name)

    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("old", "old")]


def test_a_pipe_is_not_opened_before_there_is_an_output(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    check_place(tmp_path / "pipe")  # would wait for a reader


@pytest.mark.parametrize("schema", [TEXT, PAGE, {}])
def test_what_is_no_file_cannot_go_into_a_folder(tmp_path: Path, schema: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="which is a folder"):
        check_target(tmp_path, schema)


@pytest.mark.parametrize("schema", [FILE, FILES])
def test_files_can_go_into_a_folder(tmp_path: Path, schema: dict[str, Any]) -> None:
    check_target(tmp_path, schema)


@pytest.mark.parametrize("schema", [FILES, PAGE])
def test_several_files_cannot_go_to_stdout(schema: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="-o - writes one file to stdout"):
        check_target(STDOUT, schema)


@pytest.mark.parametrize("schema", [FILE, TEXT])
def test_a_file_or_text_can_go_to_stdout(schema: dict[str, Any]) -> None:
    check_target(STDOUT, schema)


def test_files_without_a_name_need_a_current_folder_that_can_be_written_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/proc")

    check_target(None, TEXT)
    with pytest.raises(UsageError, match="/proc cannot be written to"):
        check_target(None, PAGE)
