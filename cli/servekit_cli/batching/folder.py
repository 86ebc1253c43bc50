"""Rows from the files of a folder, one each."""

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from servekit_cli.batching.records import Record

__all__ = ["read_folder", "walk"]


def read_folder(folder: Path, input_name: str) -> Iterator[Record]:
    """Give each file of a folder, and of the folders in it, as the file of one input.

    Hidden files and folders are left out, and links to folders are not followed.
    """
    for number, path in enumerate(walk(folder), start=1):
        try:
            content = msgspec.json.encode({input_name: f"@{path}"})
        except UnicodeEncodeError:
            shown = path.encode(errors="backslashreplace")
            yield Record(number, shown.decode(), shown, fault="the name of the file is not UTF-8 text")
        else:
            yield Record(number, path, content)


def walk(folder: Path | str) -> Iterator[str]:
    """Give the paths of all files below a folder, in the order of their names.

    One folder's names at a time are in memory.
    """
    with os.scandir(folder) as entries:
        found = sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name)
    for entry in found:
        if entry.is_dir(follow_symlinks=False):
            yield from walk(entry.path)
        elif entry.is_file():
            yield entry.path
