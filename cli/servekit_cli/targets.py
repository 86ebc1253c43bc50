"""Where `-o` sends an output, and whether it can go there, found out before anything has been computed."""

import tempfile
from pathlib import Path
from typing import Final, Literal

from servekit.errors import UsageError
from servekit_cli.schemas import Schema, is_file, item_schema

__all__ = ["STDOUT", "Target", "check_files", "check_place", "check_target", "parse_target"]

STDOUT: Final = "-"

Target = Path | Literal["-"] | None
"""A file or folder; `-`: stdout, also for a file; None: stdout, and files into the current folder."""


def parse_target(text: str | None) -> Target:
    """Read what `-o` names; a file with the name `-` is `./-`."""
    return None if text is None else STDOUT if text == STDOUT else Path(text)


def check_place(target: Target) -> None:
    """Make sure that `-o` names a place that can be written to, before anything is started.

    Raises:
        UsageError: Its folder is missing, or it cannot be written to.
    """
    if not isinstance(target, Path):
        return
    if not target.exists() and not target.absolute().parent.is_dir():
        raise UsageError(f"-o names {target}, and there is no folder {target.parent}.\nMake it, or correct the path.")
    _check_writable(target)


def check_target(target: Target, schema: Schema) -> None:
    """Make sure that an output can go where it should, before `setup` has been run.

    Args:
        target: What `-o` names.
        schema: The JSON Schema of the output.

    Raises:
        UsageError: It cannot.
    """
    check_files(target, schema)
    is_one_file = is_file(schema, schema)
    if target == STDOUT and _has_files(schema) and not is_one_file:
        raise UsageError(
            "-o - writes one file to stdout, and the output may hold several, or other things beside it.\n"
            "Name a folder with -o."
        )
    if isinstance(target, Path) and target.is_dir():
        is_list_of_files = is_file(item_schema(schema, schema), schema)
        if not is_one_file and not is_list_of_files:
            raise UsageError(f"-o names {target}, which is a folder.\nName a file in it, such as {target / 'output'}.")


def check_files(target: Target, schema: Schema) -> None:
    """Make sure that the files of an output can be written into the current folder, if they are to.

    Raises:
        UsageError: They cannot.
    """
    if not isinstance(target, Path) and _has_files(schema) and not (target == STDOUT and is_file(schema, schema)):
        _check_writable(Path())


def _has_files(schema: Schema) -> bool:
    from servekit.problems import schema_has  # noqa: PLC0415 - `check_place` runs before the heavy imports

    return schema_has(dict(schema), frozenset({"uri"}))


def _check_writable(place: Path) -> None:
    """Try it: permission bits say little to root, and nothing of file systems that are read-only."""
    try:
        if place.is_file():
            with place.open("ab"):
                pass
        elif place.is_dir():
            _try_folder(place)
        elif not place.exists():
            _try_folder(place.absolute().parent)
    except OSError as error:
        message = f"{place.absolute()} cannot be written to: {error.strerror}.\nName another file with -o."
        raise UsageError(message) from error


def _try_folder(folder: Path) -> None:
    with tempfile.TemporaryFile(dir=folder):
        pass
