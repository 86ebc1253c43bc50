"""Run uv, which comes as a package beside servekit."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from servekit.errors import EnvironmentBuildError

__all__ = ["UvError", "exclude", "run_uv"]


class UvError(Exception):
    """uv ended with an error.

    Attributes:
        output: What it wrote to stderr.
    """

    def __init__(self, output: str) -> None:
        self.output = output
        super().__init__(output)


def run_uv(
    *arguments: str | os.PathLike[str], cwd: str | os.PathLike[str] | None = None, stdin: str | None = None
) -> str:
    """Run uv and return what it wrote to stdout.

    Args:
        arguments: Of its command line.
        cwd: Where it runs; relative paths in what it reads go out from there.
        stdin: What it reads where an argument is `-`.

    Raises:
        UvError: It failed.
        EnvironmentBuildError: It is not installed.
    """
    from uv import find_uv_bin  # noqa: PLC0415 - only commands that make an environment need it

    try:
        binary = find_uv_bin()
    except FileNotFoundError as error:
        raise EnvironmentBuildError("uv is missing; `pip install uv` beside servekit brings it back.") from error
    # VIRTUAL_ENV would draw uv to the environment of the shell.
    environ = {key: value for key, value in os.environ.items() if key != "VIRTUAL_ENV"}
    done = subprocess.run(
        [binary, "--no-progress", *arguments],
        cwd=cwd,
        env={**environ, "UV_PYTHON_DOWNLOADS": "never", "NO_COLOR": "1"},
        input=stdin or "",
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise UvError(done.stderr.strip())
    return done.stdout


def exclude(packages: Sequence[str], file: Path) -> list[str]:
    """Return the arguments by which uv leaves packages out, whoever depends on them.

    Args:
        packages: Their names; with none there are no arguments.
        file: Where they are written for uv.
    """
    if not packages:
        return []
    file.write_text("".join(f"{name}\n" for name in packages), encoding="utf-8")
    return ["--excludes", str(file)]
