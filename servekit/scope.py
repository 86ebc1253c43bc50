"""The prediction that the current code works for.

The scope travels in a `contextvars.Context`: whatever runs in the Context of a prediction (its
`predict`, every step of its generator, tasks it makes, threads it was carried to by
`servekit.propagate` and friends) finds the same scope, and nothing else does. Only a prediction that has
its process to itself may adopt the threads whose Context holds none.
"""

import math
import re
import threading
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, Protocol, TypeVar, runtime_checkable

from servekit.errors import NoScopeError

__all__ = [
    "EventSink",
    "MetricMode",
    "Scope",
    "adopt_threads",
    "bind_sink",
    "current_scope",
    "current_scopes",
    "current_sink",
    "enter_scope",
    "enter_scopes",
    "redirected",
    "release_threads",
]

MetricMode = Literal["replace", "increment", "append"]

_T = TypeVar("_T")


@runtime_checkable
class EventSink(Protocol):
    """Takes what a prediction says about itself. Every method may be called from any thread."""

    def log(self, source: str, text: str) -> None:
        """Take text written to "stdout" or "stderr", newlines included."""

    def metric(self, name: str, value: Any, mode: MetricMode, *, is_nested: bool = False) -> None:
        """Take one metric that already fits in JSON; `is_nested` when dots in its name lead into objects."""


class Scope:
    """One prediction, as its own code sees it.

    Attributes:
        id: The prediction's id.
        context: Free key/values that came with the request; read-only.
        deadline: When the prediction's time is up, as `time.time()` gives it, or None.
    """

    __slots__ = (
        "_attached",
        "_cancelled",
        "_directory",
        "_has_files",
        "_lock",
        "_metrics",
        "_sink",
        "context",
        "deadline",
        "id",
    )

    def __init__(
        self,
        id: str,  # noqa: A002 - the field's name everywhere
        *,
        sink: EventSink,
        directory: str,
        context: Mapping[str, Any] | None = None,
        deadline: float | None = None,
    ) -> None:
        self.id = id
        self.context: Mapping[str, Any] = MappingProxyType(dict(context or {}))
        self.deadline = deadline
        self._sink = sink
        self._directory = directory
        self._metrics: dict[str, Any] = {}
        self._attached: dict[type, Any] | None = None  # most predictions need none
        self._lock = threading.Lock()
        self._cancelled = False
        self._has_files = False

    @property
    def cancelled(self) -> bool:
        """Whether the prediction was asked to stop. Long loops in C extensions may poll it between calls."""
        return self._cancelled

    @property
    def remaining(self) -> float | None:
        """Seconds until the deadline, not below 0, or None without one."""
        return None if self.deadline is None else max(0.0, self.deadline - time.time())

    @property
    def temp_dir(self) -> Path:
        """A folder for this prediction's files, made at first use and removed when the prediction has ended."""
        self._has_files = True  # first: a cancel may interrupt this thread at any point
        directory = Path(self._directory)
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        return directory

    @property
    def has_files(self) -> bool:
        """Whether `temp_dir` was used. Read by the runtime, which removes the folder."""
        return self._has_files

    def log(self, message: str) -> None:
        """Add a line to the prediction's logs."""
        self._sink.log("stdout", f"{message}\n")

    def record_metric(self, name: str, value: Any, mode: MetricMode = "replace") -> None:
        """Record a number, text, list or mapping under a name, shown in the answer's `metrics`.

        Args:
            name: Letters, digits, `_`, `-` and `.`; `predict_time`, `queue_time` and
                `time_to_first_output` belong to servekit.
            value: Anything that JSON can hold.
            mode: "replace" what was there, "increment" it by a number, or "append" to a list.

        Raises:
            ValueError: The name is not allowed, the number not finite, the mode unknown, or it is too much.
            TypeError: The value does not go with the mode or with what was recorded before.
        """
        _check_metric_name(name)
        if getattr(value, "ndim", None) == 0:
            value = value.item()  # a number of numpy or torch
        if isinstance(value, float) and not math.isfinite(value):
            message = f"the metric {name!r} is {value}, which JSON cannot hold; record a finite number, or None"
            raise ValueError(message)
        with self._lock:
            merged = _merge_metric(self._metrics.get(name), name, value, mode)
            self._sink.metric(name, value, mode)
            self._metrics[name] = merged

    @contextmanager
    def active(self) -> Generator[None]:
        """Make this the current scope until the block ends, so that what is printed there goes to its prediction.

        For code that works for several predictions and comes to what is one's alone:

            for scope, text in zip(current_scopes(), texts):
                with scope.active():
                    print("a line in this prediction's logs")
        """
        tokens = _scope.set(self), _sink.set(self._sink)
        try:
            yield
        finally:
            _scope.reset(tokens[0])
            _sink.reset(tokens[1])

    def attached(self, kind: type[_T]) -> _T:
        """Return this prediction's one object of a class, made without arguments at the first call.

        For what is built on scopes and keeps something of its own for each prediction.
        """
        with self._lock:
            attached = self._attached = {} if self._attached is None else self._attached
            if kind not in attached:
                attached[kind] = kind()
            found: _T = attached[kind]
            return found

    def mark_cancelled(self) -> None:
        """Let `cancelled` say so. Called by the runtime."""
        self._cancelled = True


_METRIC_NAME = re.compile(r"[\w-][\w.-]{0,127}", re.ASCII)
_RESERVED_METRICS = frozenset({"predict_time", "queue_time", "time_to_first_output"})


def _check_metric_name(name: str) -> None:
    if name in _RESERVED_METRICS:
        message = f"the metric {name!r} is measured by servekit itself; choose another name"
        raise ValueError(message)
    if not _METRIC_NAME.fullmatch(name):
        message = f"{name!r} is no metric name; use 1 to 128 letters, digits, '_', '-' and '.'"
        raise ValueError(message)


def _merge_metric(old: Any, name: str, value: Any, mode: MetricMode) -> Any:
    if mode == "replace":
        return value
    if mode == "append":
        if old is None:
            return [value]
        if not isinstance(old, list):
            message = f"the metric {name!r} is {old!r}; only a list can be appended to"
            raise TypeError(message)
        return [*old, value]  # pyright: ignore[reportUnknownVariableType] - the author's own values
    if mode == "increment":
        for number in (value, 0 if old is None else old):
            if isinstance(number, bool) or not isinstance(number, int | float):
                message = f"the metric {name!r} can only be incremented by and from a number, not {number!r}"
                raise TypeError(message)
        return value if old is None else old + value
    message = f"mode is {mode!r}; it is one of 'replace', 'increment', 'append'"  # type: ignore[unreachable]
    raise ValueError(message)


_scope: ContextVar[Scope] = ContextVar("servekit_scope")
_scopes: ContextVar[tuple[Scope, ...]] = ContextVar("servekit_scopes")
_sink: ContextVar[EventSink] = ContextVar("servekit_sink")
_adopter: tuple[Scope, EventSink] | None = None
"""The prediction that code without a Context of any prediction works for."""


def current_scope() -> Scope:
    """Return the scope of the prediction that the calling code works for.

    Raises:
        NoScopeError: No prediction runs here: outside `predict`, or in a thread that the scope was not carried to.
    """
    try:
        return _scope.get()
    except LookupError:
        adopter = _adopter
        if adopter is not None:
            return adopter[0]
        if _scopes.get(None) is not None:
            raise NoScopeError(_IN_A_BATCH) from None
        message = (
            "there is no prediction here. current_scope() works inside predict() and what it calls; "
            "a thread of your own does not see it. Wrap its function in servekit.propagate(fn), "
            "or use servekit.ContextThreadPoolExecutor or servekit.parallel."
        )
        raise NoScopeError(message) from None


_IN_A_BATCH = (
    "this code works for a batch of predictions, and no one of them is current. current_scopes() gives the scopes of "
    "all, in the order of the inputs; `with scope.active():` makes one of them the current one."
)


def current_scopes() -> tuple[Scope, ...]:
    """Return the scopes of all predictions that the calling code works for.

    In a `predict` that takes batches these are as many as the inputs, in their order; elsewhere it is the one
    that `current_scope` returns.

    Raises:
        NoScopeError: No prediction runs here.
    """
    scopes = _scopes.get(None)
    return (current_scope(),) if scopes is None else scopes


def enter_scopes(scopes: tuple[Scope, ...]) -> None:
    """Make `scopes` those of this Context, in which none of them is current. Called once per call of a batch."""
    _scopes.set(scopes)


def enter_scope(scope: Scope, sink: EventSink) -> None:
    """Make `scope` the current one of this Context. Called once per prediction, in a Context of its own."""
    _scope.set(scope)
    _sink.set(sink)


def bind_sink(sink: EventSink) -> None:
    """Send what this Context prints to `sink` (setup and teardown, which have no scope)."""
    _sink.set(sink)


@contextmanager
def redirected(sink: EventSink) -> Generator[None]:
    """Send what this Context prints to `sink` until the block ends."""
    token = _sink.set(sink)
    try:
        yield
    finally:
        _sink.reset(token)


def current_sink() -> EventSink | None:
    """Return where the calling Context's output goes, or None outside predictions and setup."""
    sink = _sink.get(None)
    if sink is not None:
        return sink
    adopter = _adopter
    return None if adopter is None else adopter[1]


def adopt_threads(scope: Scope, sink: EventSink) -> None:
    """Have all code of this process whose Context holds no prediction work for this one, until `release_threads`.

    Only for a process in which one prediction runs at a time: among several it would be a guess.
    """
    global _adopter  # noqa: PLW0603 - the process is what is adopted
    _adopter = scope, sink


def release_threads(scope: Scope) -> None:
    """End what `adopt_threads` began, unless another prediction has begun it anew."""
    global _adopter  # noqa: PLW0603 - as above
    if _adopter is not None and _adopter[0] is scope:
        _adopter = None
