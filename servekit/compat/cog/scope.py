"""`current_scope()`: the prediction that runs, with its context and its metrics.

Outside of a prediction there is a scope as well; it takes everything and keeps nothing.
"""

import math
import threading
from typing import Any, Final, get_args

from servekit import scope
from servekit.compat.cog.metric_names import check_metric_name, check_metric_path
from servekit.errors import NoScopeError

__all__ = ["MetricRecorder", "Scope", "current_scope"]

_MODES: Final[dict[str | None, scope.MetricMode]] = {
    None: "replace",
    "incr": "increment",
    **{mode: mode for mode in get_args(scope.MetricMode)},
}
_KINDS: Final = (bool, int, float, str, list, dict)
"""What a metric may be; bool comes first, since it is an int as well."""


class _RecordedKinds:
    """The kind of value that each metric of a prediction has; it may not change."""

    def __init__(self) -> None:
        self.of: dict[str, type] = {}
        self.lock = threading.Lock()


class MetricRecorder:
    """Records the metrics of one prediction, from any of its threads and tasks."""

    def __init__(self, kinds: _RecordedKinds, sink: scope.EventSink | None) -> None:
        self._kinds = kinds
        self._sink = sink

    def record(self, key: str, value: Any, mode: str | None = None) -> None:
        """Record a value under a name; dots in the name make nested objects.

        Args:
            key: Up to four words of letters, digits and single underscores, with dots between.
            value: A bool, int, float, str, list or dict, and the same kind each time. None deletes.
            mode: "replace" what was there, "incr" it by a number, or "append" to a list.

        Raises:
            ValueError: The name is not allowed, the number not finite, or the prediction has recorded too much.
            TypeError: The value does not go with the mode or with what was recorded before, or there is no such mode.
        """
        if mode not in _MODES:
            message = f"Invalid metric mode: '{mode}'. Expected 'replace', 'incr', or 'append'."
            raise TypeError(message)
        if value is None:
            self.delete(key)
        elif self._sink is not None:
            self._record(self._sink, key, value, _MODES[mode])

    def delete(self, key: str) -> None:
        """Remove a metric, if it is there; after that it may get a value of another kind.

        Raises:
            ValueError: The name is not well formed.
        """
        if self._sink is None:
            return
        check_metric_path(key)
        with self._kinds.lock:
            self._kinds.of.pop(key, None)
            self._sink.metric(key, None, "replace", is_nested=True)

    def __setitem__(self, key: str, value: Any) -> None:
        self.record(key, value)

    def __delitem__(self, key: str) -> None:
        self.delete(key)

    def _record(self, sink: scope.EventSink, key: str, value: Any, mode: scope.MetricMode) -> None:
        check_metric_name(key)
        if getattr(value, "ndim", None) == 0:
            value = value.item()  # a number of numpy or torch
        kind = _kind_of(value)
        with self._kinds.lock:
            known = self._kinds.of.get(key, kind)
            if known is not kind:
                message = (
                    f"Metric '{key}' has type {known.__name__}, cannot set to {kind.__name__} without deleting first"
                )
                raise TypeError(message)
            if mode == "increment" and kind not in (int, float):
                message = f"Increment mode requires int or float, got {kind.__name__}"
                raise TypeError(message)
            sink.metric(key, value, mode, is_nested=True)
            self._kinds.of[key] = kind


class Scope:
    """The prediction that runs, as code written for Cog sees it.

    Attributes:
        context: What the client sent as `context`.
        metrics: Records metrics, also as `scope.metrics[name] = value` and `del scope.metrics[name]`.
    """

    def __init__(self, context: dict[str, Any], metrics: MetricRecorder) -> None:
        self.context = context
        self.metrics = metrics

    def record_metric(self, key: str, value: Any, mode: str | None = None) -> None:
        """Record a metric; see `MetricRecorder.record`."""
        self.metrics.record(key, value, mode)


def current_scope() -> Scope:
    """Return the scope of the prediction that the calling code works for, or one that keeps nothing."""
    try:
        own = scope.current_scope()
    except NoScopeError:
        return Scope({}, MetricRecorder(_RecordedKinds(), None))
    return Scope(dict(own.context), MetricRecorder(own.attached(_RecordedKinds), scope.current_sink()))


def _kind_of(value: Any) -> type:
    if isinstance(value, float) and not math.isfinite(value):
        message = f"a metric is {value}, which JSON cannot hold; record a finite number, or None"
        raise ValueError(message)
    for kind in _KINDS:
        if isinstance(value, kind):
            return kind
    message = f"Unsupported metric value type: {type(value).__name__}. Expected bool, int, float, str, list, or dict."
    raise TypeError(message)
