"""The environment that holds Cog's own server."""

import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Final

__all__ = ["COG_VERSION", "CogUnavailableError", "make_cog_environment"]

COG_VERSION: Final = "0.23.1"

_UV: Final = str(Path(sysconfig.get_path("scripts")) / "uv")
_SECONDS: Final = 60


class CogUnavailableError(Exception):
    """The packages could not be had."""


def make_cog_environment(folder: Path) -> Path:
    """Make an environment with `cog` and `coglet` from the package index, and return its Python.

    Raises:
        CogUnavailableError: The index cannot be reached, or has no wheel for this machine.
    """
    python = folder / "bin" / "python"
    _run("venv", "--quiet", "--python", sys.executable, str(folder))
    packages = (f"cog=={COG_VERSION}", f"coglet=={COG_VERSION}")
    _run("pip", "install", "--quiet", "--compile-bytecode", "--python", str(python), *packages)
    return python


def _run(*arguments: str) -> None:
    try:
        done = subprocess.run([_UV, *arguments], capture_output=True, text=True, check=False, timeout=_SECONDS)
    except subprocess.TimeoutExpired as error:
        message = f"uv {arguments[0]} took more than {_SECONDS} s"
        raise CogUnavailableError(message) from error
    if done.returncode:
        message = f"uv {arguments[0]} failed: {done.stderr.strip()}"
        raise CogUnavailableError(message)
