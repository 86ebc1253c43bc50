"""Find the Python interpreter that an environment is based on.

Interpreters are looked for and never downloaded: which Python runs a model is a decision that somebody
took when installing it.
"""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from servekit.errors import EnvironmentBuildError
from servekit_cli.environment.uv import UvError, run_uv

__all__ = ["find_interpreter", "running_version"]


def running_version() -> str:
    """Give the version of the interpreter that runs this, as a spec writes it: `3.12`."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def find_interpreter(version: str | None) -> Path:
    """Find an interpreter.

    Args:
        version: As in the spec, such as `3.12`; None for the running one.

    Raises:
        EnvironmentBuildError: There is none of this version.
    """
    if version is None or version == running_version():
        return Path(sys.executable)
    try:
        # uv looks into the search path and what it installed itself, and makes sure that it runs.
        return Path(run_uv("python", "find", "--no-project", "--system", version).strip())
    except UvError:
        pass
    for candidate in _pyenv_interpreters(version):
        return candidate
    raise EnvironmentBuildError(
        f"There is no Python {version} on this machine, which build.python_version asks for.\n"
        f"Install it (for example with `uv python install {version}` or `pyenv install {version}`), "
        f"or set build.python_version to {running_version()}, which runs this command."
    )


def _pyenv_interpreters(version: str) -> Iterator[Path]:
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    for folder in sorted((root / "versions").glob(f"{version}.*"), reverse=True):
        python = folder / "bin" / "python"
        if shutil.which(python):
            yield python
