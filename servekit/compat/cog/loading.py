"""`load_predictor_from_ref`, by which the tests of some projects make their predictor."""

import importlib.util
import inspect
import sys
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

from servekit.compat.cog.runner import choose_method, list_deprecations

__all__ = ["load_predictor_from_ref"]


def load_predictor_from_ref(ref: str) -> Any:
    """Import a file and make its predictor; what the author's code raises travels on untouched.

    Args:
        ref: `run.py:Runner`, `run.py:function`, or `run.py` for its `Runner`, or else its `Predictor`.

    Returns:
        An instance of the class, or the function itself. `setup` has not been called.

    Raises:
        ImportError: There is no such module.
        AttributeError: The module has no such name.
        TypeError: `Runner` can be no predictor.
        ValueError: The class has neither `run` nor `predict`, or both.
    """
    path, _, name = ref.partition(":")
    module = _import_file(Path(path))
    name = name or _choose_name(module)
    target = getattr(module, name)
    if not inspect.isclass(target):
        return target
    choose_method(target, name)
    for sentence in list_deprecations(target, name):
        warnings.warn(sentence, DeprecationWarning, stacklevel=2)
    return target()


def _import_file(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if spec is None or spec.loader is None:
        message = f"{file} is no Python module; name a .py file"
        raise ImportError(message)
    module = sys.modules[file.stem] = importlib.util.module_from_spec(spec)  # pickle looks it up there
    spec.loader.exec_module(module)
    return module


def _choose_name(module: ModuleType) -> str:
    fault = _find_fault(module)
    if not hasattr(module, "Predictor"):
        if fault is not None:
            raise fault
        return "Runner"
    if fault is None:
        message = "Both Runner and Predictor are defined; using Runner. Name the class to say which one is meant"
        warnings.warn(message, UserWarning, stacklevel=3)
        return "Runner"
    warnings.warn("Predictor is deprecated; use Runner instead", DeprecationWarning, stacklevel=3)
    return "Predictor"


def _find_fault(module: ModuleType) -> Exception | None:
    """Return why a module's `Runner` is no predictor."""
    runner = getattr(module, "Runner", None)
    if runner is None:
        return AttributeError(f"module {module.__name__!r} has no Runner or Predictor")
    if inspect.isclass(runner):
        try:
            choose_method(runner, "Runner")
        except ValueError as error:
            return error
    elif not callable(runner):
        return TypeError("Runner exists but is not a class or callable; write `class Runner`")
    return None
