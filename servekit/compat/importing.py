"""`import cog` without the package: found in a Cog project, and nowhere else.

A folder of servekit's that holds a package `cog` goes first on `sys.path`, before a `cog` that may be
installed. Its modules only pass on the names of `servekit.compat.cog`, so it can be forgotten and
imported again, and there is one class of each name all the same.
"""

import importlib
import os
import sys
import sysconfig
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Final

__all__ = ["add_cog_to_environment", "importable_cog", "install_cog"]

_FOLDER: Final = str(Path(__file__).resolve().parent / "import_path")
_SHADOWED: Final = "__shadowed__"
_lock: Final = threading.Lock()


@contextmanager
def importable_cog() -> Generator[None]:
    """Have `import cog` find servekit's until the end of the block, in this whole process.

    Blocks of several threads may overlap; the last one to end puts back what the first one found.
    """
    with _lock:
        sys.path.insert(0, _FOLDER)
        if not _is_ours(sys.modules.get("cog")):
            foreign = _take_modules()
            setattr(importlib.import_module("cog"), _SHADOWED, foreign)
    try:
        yield
    finally:
        with _lock:
            if _FOLDER in sys.path:  # a predictor may have thrown it out
                sys.path.remove(_FOLDER)
            if _FOLDER not in sys.path and _is_ours(ours := sys.modules.get("cog")):
                _take_modules()
                sys.modules.update(getattr(ours, _SHADOWED))


def add_cog_to_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return environment variables under which a Python process, and those that it starts, can `import cog`."""
    others = environment.get("PYTHONPATH")
    return {**environment, "PYTHONPATH": f"{_FOLDER}{os.pathsep}{others}" if others else _FOLDER}


def install_cog() -> None:
    """Have every program of this Python find it, unless it finds another one: for the image of a Cog project."""
    folder = Path(sysconfig.get_path("purelib"))
    (folder / "servekit_cog.pth").write_text(f"{_FOLDER}\n", encoding="utf-8")


def _is_ours(module: ModuleType | None) -> bool:
    return hasattr(module, _SHADOWED)


def _take_modules() -> dict[str, ModuleType]:
    """Take `cog` and what is in it out of the modules that are imported already."""
    return {name: sys.modules.pop(name) for name in list(sys.modules) if name == "cog" or name.startswith("cog.")}


if __name__ == "__main__":
    install_cog()
