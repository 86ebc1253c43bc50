"""Values that come from outside the code: the spec's `settings`, `SERVEKIT_SETTINGS`, `--set`."""

from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

from servekit.configuration.process import PROCESS
from servekit.errors import PredictorError, SettingsError

__all__ = ["load_with_settings"]

_P = ParamSpec("_P")
_T = TypeVar("_T")


def load_with_settings(values: Mapping[str, Any], load: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Run what imports the author's module, and have its class of settings take values from outside.

    They hold from the moment that the class is declared, so that the rest of the module sees them.

    Raises:
        PredictorError: They do not fit the class, or there is none.
    """
    PROCESS.give(values)
    loaded = load(*args, **kwargs)
    try:
        PROCESS.confirm_given()
    except SettingsError as error:
        message = f"the settings of servekit.yaml, SERVEKIT_SETTINGS or --set cannot be used: {error}"
        raise PredictorError(message) from None
    return loaded
