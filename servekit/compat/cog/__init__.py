"""What `from cog import ...` gives the code of a Cog project.

Where servekit has the same thing, the name stands for servekit's own class. The rest is here, with
the names, rules and messages that code written for Cog relies on.
"""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from servekit.compat.cog.decorators import concurrent, streaming
from servekit.compat.cog.input import FieldInfo, Input
from servekit.compat.cog.model import BaseModel
from servekit.compat.cog.opaque import Opaque
from servekit.compat.cog.runner import BasePredictor, BaseRunner
from servekit.compat.cog.scope import current_scope
from servekit.compat.cog.types import (
    AsyncConcatenateIterator,
    ConcatenateIterator,
    File,
    Path,
    Secret,
    URLFile,
    URLPath,
)
from servekit.compat.version import COG_VERSION
from servekit.errors import CancelationError as CancelationException

if TYPE_CHECKING:  # else __getattr__ gives them
    from servekit.compat.cog.deprecated import ExperimentalFeatureWarning, emit_metric

__all__ = [
    "AsyncConcatenateIterator",
    "BaseModel",
    "BasePredictor",
    "BaseRunner",
    "CancelationException",
    "ConcatenateIterator",
    "ExperimentalFeatureWarning",
    "FieldInfo",
    "File",
    "Input",
    "Opaque",
    "Path",
    "Secret",
    "URLFile",
    "URLPath",
    "__version__",
    "concurrent",
    "current_scope",
    "emit_metric",
    "streaming",
]

__version__: Final = COG_VERSION

_DEPRECATED: Final = {
    "ExperimentalFeatureWarning": "ExperimentalFeatureWarning is deprecated: nothing raises it any more, so remove it",
    "emit_metric": "emit_metric() is deprecated: use current_scope().record_metric(name, value)",
}
_GONE: Final = (
    "cog.Predictor is of Cog before 0.1. Write `class Predictor(BasePredictor)`, and in place of each @cog.input an "
    "argument of predict: `def predict(self, image: Path = Input(description=...)) -> Path`"
)


def __getattr__(name: str) -> Any:
    """Give a deprecated name, and say once that it is one: by print, since many filter warnings out."""
    if name == "Predictor":
        raise ImportError(_GONE)  # no AttributeError, to which Python would add a name that it takes for a misspelt one
    if name not in _DEPRECATED:
        message = f"module 'cog' has no attribute {name!r}"
        raise AttributeError(message)
    print(f"cog: {_DEPRECATED[name]}", file=sys.stderr)  # noqa: T201 - it belongs in the log of the predictor
    value = getattr(import_module("servekit.compat.cog.deprecated"), name)
    globals()[name] = value
    return value
