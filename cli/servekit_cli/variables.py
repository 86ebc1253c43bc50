"""The environment variables that a user names on the command line."""

import os
from collections.abc import Iterable
from pathlib import Path

from servekit.errors import UsageError

__all__ = ["read_variables"]


def read_variables(pairs: Iterable[str], files: Iterable[Path]) -> dict[str, str]:
    """Read what `--env` and `--env-file` say; `--env` wins.

    Args:
        pairs: `NAME=value`, or `NAME` for the variable of this process.
        files: The same, one a line, with `#` in front of comments.

    Raises:
        UsageError: A file cannot be read, or something is not a variable.
    """
    variables: dict[str, str] = {}
    for file in files:
        for number, line in enumerate(_read_lines(file), 1):
            if (text := line.strip()) and not text.startswith("#"):
                variables |= _read_variable(text, f"{file}:{number}")
    for pair in pairs:
        variables |= _read_variable(pair, "--env")
    return variables


def _read_lines(file: Path) -> list[str]:
    try:
        return file.expanduser().read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise UsageError(f"--env-file names {file}, which is not UTF-8 text.\nSave it as UTF-8.") from None
    except OSError as error:
        raise UsageError(f"--env-file names {file}, which cannot be read: {error.strerror}.") from error


def _read_variable(text: str, place: str) -> dict[str, str]:
    name, equals, value = text.partition("=")
    if not name or any(letter.isspace() for letter in name):
        raise UsageError(f'{place} has "{text}", which is no variable.\nWrite NAME=value.')
    if equals:
        return {name: value}
    # A name alone stands for the variable of this process, so that a secret is in no list of processes.
    return {name: os.environ[name]} if name in os.environ else {}
