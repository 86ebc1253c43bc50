"""Find what a reference such as `predict.py:Predictor` or `package.module:Name` names.

Each way to fail has its own sentence. An exception raised inside the author's module travels on untouched.
"""

import difflib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from servekit.errors import PredictorError

__all__ = ["import_target"]

_MARK: Final = "__servekit_predictor__"
"""The attribute by which a module that this one made from a file is known again."""


def import_target(reference: str, root: Path) -> Any:
    """Import the module that `reference` names and return the attribute that it names.

    Args:
        reference: `file.py:Name` or `package.module:Name`; files are relative to `root`.
        root: The project's folder; it is put first on `sys.path`, and after it the `src` of a Python project.

    Raises:
        PredictorError: The reference is malformed, or names something that is not there.
    """
    place, name = _split(reference)
    _put_first_on_path(_source_folders(root))
    module = _import_file(root / place, reference, root) if place.endswith(".py") else _import_module(place, reference)
    return _find(module, name, reference)


def _split(reference: str) -> tuple[str, str]:
    place, colon, name = reference.rpartition(":")
    if not colon and reference.endswith(".py"):
        message = f'predictor "{reference}" names no class or function; write "{reference}:Predictor"'
        raise PredictorError(message)
    if not place or not all(part.isidentifier() for part in name.split(".")):
        message = (
            f'predictor "{reference}" cannot be read; '
            'write "file.py:Class", "file.py:function" or "package.module:Name"'
        )
        raise PredictorError(message)
    if not place.endswith(".py") and not all(part.isidentifier() for part in place.split(".")):
        message = f'predictor "{reference}" names neither a .py file nor a module; write "file.py:{name}"'
        raise PredictorError(message)
    return place, name


def _source_folders(root: Path) -> list[str]:
    """Return where the project's own modules lie; the project itself is not installed."""
    folders = [root.resolve()]
    if (root / "pyproject.toml").is_file() and (root / "src").is_dir():
        folders.append(folders[0] / "src")
    return [str(folder) for folder in folders]


def _put_first_on_path(folders: list[str]) -> None:
    if sys.path[: len(folders)] != folders:
        sys.path[:0] = folders


def _import_file(file: Path, reference: str, root: Path) -> ModuleType:
    if not file.is_file():
        raise PredictorError(_missing_file(file, reference))
    if file.parent.resolve() != root.resolve():
        # As `python folder/predict.py` does it: the modules beside the file can be imported, after the project's.
        sys.path.insert(len(_source_folders(root)), str(file.parent.resolve()))
    name = _module_name(file)
    spec = importlib.util.spec_from_file_location(name, file.resolve())
    assert spec is not None, "a .py file always has a loader"
    assert spec.loader is not None, "a .py file always has a loader"
    module = importlib.util.module_from_spec(spec)
    setattr(module, _MARK, True)
    previous = sys.modules.get(name)
    # Registered before it runs: dataclasses, pickle and type hints look their module up by name.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        if previous is None:
            del sys.modules[name]
        else:
            sys.modules[name] = previous
        raise
    return module


def _module_name(file: Path) -> str:
    """Return the file's stem, unless that is the name of a module that must stay, such as `json`.

    A module that an earlier call made, for this or another project, has no name to defend.
    """
    name = file.stem.replace(".", "_")
    existing = sys.modules.get(name)
    if existing is None:
        is_taken = name in sys.stdlib_module_names
    else:
        is_taken = not hasattr(existing, _MARK) and getattr(existing, "__file__", None) != str(file.resolve())
    return f"servekit_predictor_{name}" if is_taken else name


def _import_module(place: str, reference: str) -> ModuleType:
    importlib.invalidate_caches()
    try:
        return importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{place}.".startswith(f"{error.name}."):
            raise  # the author's module imports something that is missing
        message = f'predictor "{reference}": there is no module "{error.name}" in the project or among the packages'
        raise PredictorError(message) from None


def _missing_file(file: Path, reference: str) -> str:
    present = sorted(path.name for path in file.parent.glob("*.py"))
    near = difflib.get_close_matches(file.name, present, n=1)
    hint = ""
    if near:
        hint = f'; did you mean "{near[0]}"?'
    elif present:
        hint = f"; the Python files there are {', '.join(present[:10])}"
    return f'predictor "{reference}": there is no file {file.name} in {file.parent}{hint}'


def _find(module: ModuleType, name: str, reference: str) -> Any:
    target: Any = module
    for part in name.split("."):
        try:
            target = getattr(target, part)
        except AttributeError:
            hint = _near_names(part, dict(inspect.getmembers_static(target)), module.__name__)
            message = f'predictor "{reference}": there is no "{part}" in {module.__file__}; {hint}'
            raise PredictorError(message) from None
    return target


def _near_names(name: str, namespace: Mapping[str, Any], module: str) -> str:
    public = [each for each in namespace if not each.startswith("_")]
    near = difflib.get_close_matches(name, public, n=1, cutoff=0.5)
    if near:
        return f'did you mean "{near[0]}"?'
    own = [each for each in public if getattr(namespace[each], "__module__", None) == module]
    return f"it defines {', '.join(own[:10]) or 'no class and no function'}"
