"""Put a Python model into production: what model authors import.

The names are loaded at their first use, so that `import servekit` is quick wherever only a few are needed.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from servekit.batching import batch
    from servekit.configuration import Setting, Settings, configure, context, isolated_settings, settings
    from servekit.errors import CancelationError, NoScopeError, ServekitError, SettingsError
    from servekit.jobs import run_batch as run_batch
    from servekit.predictor import BasePredictor, Input
    from servekit.scope import Scope, current_scope, current_scopes
    from servekit.threads import (
        ContextThreadPoolExecutor,
        RetryPolicy,
        async_generator_from_thread,
        asyncify,
        parallel,
        propagate,
    )
    from servekit.types import END, AsyncConcatenateIterator, Batch, ConcatenateIterator, File, Path, Secret

    __version__: str

__all__ = [
    "END",
    "AsyncConcatenateIterator",
    "BasePredictor",
    "Batch",
    "CancelationError",
    "ConcatenateIterator",
    "ContextThreadPoolExecutor",
    "File",
    "Input",
    "NoScopeError",
    "Path",
    "RetryPolicy",
    "Scope",
    "Secret",
    "ServekitError",
    "Setting",
    "Settings",
    "SettingsError",
    "__version__",
    "async_generator_from_thread",
    "asyncify",
    "batch",
    "configure",
    "context",
    "current_scope",
    "current_scopes",
    "isolated_settings",
    "parallel",
    "propagate",
    "settings",
]  # but for `run_batch`: it loads what runs workers, which nobody who writes `import *` in a predictor should wait for

_HOMES = {
    "batching": ("batch",),
    "configuration": ("Setting", "Settings", "configure", "context", "isolated_settings", "settings"),
    "errors": ("CancelationError", "NoScopeError", "ServekitError", "SettingsError"),
    "jobs": ("run_batch",),
    "predictor": ("BasePredictor", "Input"),
    "scope": ("Scope", "current_scope", "current_scopes"),
    "threads": (
        "ContextThreadPoolExecutor",
        "RetryPolicy",
        "async_generator_from_thread",
        "asyncify",
        "parallel",
        "propagate",
    ),
    "types": ("END", "AsyncConcatenateIterator", "Batch", "ConcatenateIterator", "File", "Path", "Secret"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 - slow, and seldom asked for

        try:
            value: Any = version("servekit")
        except PackageNotFoundError:  # a worker's environment holds the package without its metadata
            value = "unknown"
    elif name in _HOME_OF:
        value = getattr(import_module(f"servekit.{_HOME_OF[name]}"), name)
    else:
        message = f"module 'servekit' has no attribute {name!r}"
        raise AttributeError(message)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_HOME_OF})
