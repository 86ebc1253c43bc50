"""One virtual environment per system, so that no peer's requirements touch another's."""

import subprocess
import sys
from pathlib import Path

__all__ = ["find_python"]

_FOLDER = Path(__file__).parent / ".envs"
_PACKAGES = {
    # Without numpy Cog retries its import for every output, which makes it slower.
    "cog": ["cog", "coglet", "numpy"],
    "litserve": ["litserve"],
    "fastapi": ["fastapi", "uvicorn", "uvloop", "httptools"],
    "raw": ["uvicorn", "uvloop", "httptools", "orjson"],
}


def find_python(environment: str | None) -> Path:
    """Give the interpreter of an environment, which is made where it does not exist.

    Args:
        environment: Its name, or None for the environment that runs this program.
    """
    if environment is None:
        return Path(sys.executable)
    python = _FOLDER / environment / "bin" / "python"
    ready = _FOLDER / environment / ".complete"
    if not ready.exists():
        print(f"making the environment of {environment} ...", file=sys.stderr, flush=True)
        uv = Path(sys.executable).with_name("uv")
        _run(str(uv), "venv", "--quiet", "--clear", "--python", sys.executable, str(_FOLDER / environment))
        _run(
            str(uv), "pip", "install", "--quiet", "--compile-bytecode", "--python", str(python), *_PACKAGES[environment]
        )
        ready.touch()
    return python


def _run(*command: str) -> None:
    subprocess.run(command, check=True, timeout=600)
