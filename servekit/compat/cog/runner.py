"""`BaseRunner` and `BasePredictor`, and which of `run` and `predict` a class has."""

import inspect
import warnings
from typing import Any, Literal

from servekit import predictor
from servekit.compat.cog.scope import Scope, current_scope

__all__ = ["BasePredictor", "BaseRunner", "choose_method", "list_deprecations"]


class BaseRunner:
    """What Cog calls; inheriting it is optional.

    `setup` runs once, before the first `run`. Each method may be sync or async, and `run` may also be a
    generator of either kind; the annotations of `run` become the schema. It may be called `predict` instead.
    """

    def setup(self, weights: Any = None) -> Any:
        """Load the model. `weights` is the value of the variable COG_WEIGHTS, or None."""

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """Run one prediction: return a value, or yield items."""
        if _has_own(type(self), "predict") and not _has_own(type(self), "run"):
            return self.predict(*args, **kwargs)
        message = "run has not been implemented; write `def run(self, ...)`"
        raise NotImplementedError(message)

    def predict(self, *args: Any, **kwargs: Any) -> Any:
        """Call `run`, for code that knows it by its old name."""
        warnings.warn(_use_run(type(self).__name__), DeprecationWarning, stacklevel=2)
        return self.run(*args, **kwargs)

    @property
    def scope(self) -> Scope:
        """The prediction that runs; outside of one, a scope that takes everything and keeps nothing."""
        return current_scope()

    def record_metric(self, key: str, value: Any, mode: str = "replace") -> None:
        """Record a metric of the prediction that runs; see `MetricRecorder.record`."""
        self.scope.record_metric(key, value, mode)


class BasePredictor(BaseRunner):
    """`BaseRunner` under its old name."""


def choose_method(target: type, name: str) -> Literal["run", "predict"]:
    """Return which of the two a class has.

    Args:
        target: The class; it need not inherit `BaseRunner`.
        name: What to call it in errors.

    Raises:
        ValueError: It has both, or neither.
    """
    has_run, has_predict = _has_own(target, "run"), _has_own(target, "predict")
    if has_run and has_predict:
        message = f"{name} must define either run() or predict(), not both; keep run()"
        raise ValueError(message)
    if not has_run and not has_predict:
        message = f"run or predict method not found: {name}; write `def run(self, ...)`"
        raise ValueError(message)
    return "run" if has_run else "predict"


def list_deprecations(target: type, name: str) -> list[str]:
    """Say what about a class is deprecated in Cog; it works all the same."""
    found = [_use_run(name)] if _has_own(target, "predict") else []
    if BasePredictor in inspect.getmro(target)[1:]:
        found.append("BasePredictor is deprecated; use BaseRunner instead")
    return found


_BASES = frozenset({BaseRunner, BasePredictor, predictor.BasePredictor, object})


def _has_own(target: type, name: str) -> bool:
    """Whether an author wrote a method. What stands behind a base of ours in a list of bases does not count."""
    for owner in inspect.getmro(target):
        if owner in _BASES:
            return False
        if callable(owner.__dict__.get(name)):
            return True
    return False


def _use_run(name: str) -> str:
    return f"{name}.predict() is deprecated; use run() instead"
