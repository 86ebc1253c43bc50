"""Metrics as code written for Cog records them: names, kinds, modes, and what becomes of them."""

from typing import Any

import numpy as np
import pytest

from servekit.compat.cog import BaseRunner, current_scope, emit_metric
from servekit.compat.cog.metric_names import check_metric_name, check_metric_path
from servekit.compat.cog.scope import Scope
from servekit.runtime.recorded import fold_nested_metric
from servekit.scope import MetricMode, enter_scope
from servekit.scope import Scope as OwnScope


class Sink:
    """Folds metrics as the server does."""

    def __init__(self) -> None:
        self.metrics: dict[str, Any] = {}

    def log(self, source: str, text: str) -> None: ...

    def metric(self, name: str, value: Any, mode: MetricMode, *, is_nested: bool = False) -> None:
        assert is_nested
        fold_nested_metric(self.metrics, name, value, mode)


@pytest.fixture
def sink() -> Sink:
    """Make this test's Context that of a prediction; pytest gives each async test its own."""
    return Sink()


@pytest.fixture
def scope(sink: Sink) -> Scope:
    import contextvars  # noqa: PLC0415 - only here

    context = contextvars.Context()
    context.run(enter_scope, OwnScope("p", sink=sink, directory="/nowhere", context={"region": "eu"}), sink)
    return context.run(current_scope)


@pytest.mark.parametrize("name", ["a", "token_count", "timing.preprocess", "a1.b2.c3.d4", "A", "x" * 128])
def test_a_good_name_is_taken(name: str) -> None:
    check_metric_name(name)


NAMES = {
    "_x": "metric name segment '_x' must start with a letter",
    "1x": "metric name segment '1x' must start with a letter",
    "a._x": "metric name segment '_x' must start with a letter",
    "foo__bar": "metric name segment 'foo__bar' must not contain consecutive underscores",
    "x_": "metric name segment 'x_' must end with a letter or digit",
    "a-b": "metric name segment 'a-b' contains invalid character '-'",
    "a b": "metric name segment 'a b' contains invalid character ' '",
    "é": "metric name segment 'é' must start with a letter",
    ".x": "metric name must not start with a dot",
    "x.": "metric name must not end with a dot",
    "a..b": "metric name must not contain empty segments (consecutive dots)",
    "a.b.c.d.e": "metric name must have at most 4 dot-separated segments (got 5)",
    "": "metric name must not be empty",
    "a" * 129: "metric name must be 128 characters or fewer (got 129 characters)",
    "predict_time": "'predict_time' is reserved by the runtime",
    "cog.x": "the 'cog.' prefix is reserved for system metrics",
}


@pytest.mark.parametrize(("name", "message"), NAMES.items())
def test_a_bad_name_is_refused_with_the_words_of_cog(name: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - compared whole
        check_metric_name(name)

    assert str(caught.value) == message


@pytest.mark.parametrize("name", ["predict_time", "cog.x"])
def test_reserved_names_may_be_deleted(name: str) -> None:
    check_metric_path(name)


@pytest.mark.parametrize("value", [True, 1, 0.5, "text", [1, "a"], {"a": 1}])
def test_a_metric_is_kept(scope: Scope, sink: Sink, value: object) -> None:
    scope.record_metric("m", value)

    assert sink.metrics == {"m": value}


@pytest.mark.parametrize("value", [b"bytes", (1, 2), object()])
def test_a_metric_of_another_kind_is_refused(scope: Scope, value: object) -> None:
    with pytest.raises(TypeError, match=r"Unsupported metric value type: \w+. Expected bool, int, float, str, list"):
        scope.record_metric("m", value)


def test_a_number_of_numpy_is_a_number(scope: Scope, sink: Sink) -> None:
    scope.record_metric("m", np.float32(0.5))

    assert sink.metrics == {"m": 0.5}


def test_a_metric_that_json_cannot_hold_is_refused(scope: Scope) -> None:
    with pytest.raises(ValueError, match="record a finite number"):
        scope.record_metric("m", float("nan"))


def test_numbers_are_added_up(scope: Scope, sink: Sink) -> None:
    scope.record_metric("m", 1, mode="incr")
    scope.record_metric("m", 2, mode="increment")
    scope.metrics.record("n", 0.5, "incr")

    assert sink.metrics == {"m": 3, "n": 0.5}


def test_values_are_appended(scope: Scope, sink: Sink) -> None:
    for value in ("fast", "cached"):
        scope.record_metric("tags", value, mode="append")

    assert sink.metrics == {"tags": ["fast", "cached"]}


def test_dots_lead_into_objects(scope: Scope, sink: Sink) -> None:
    scope.record_metric("timing.load.disk", 0.1)
    scope.record_metric("timing.run", 2, mode="incr")
    scope.record_metric("timing.run", 3, mode="incr")

    assert sink.metrics == {"timing": {"load": {"disk": 0.1}, "run": 5}}


def test_metrics_are_written_like_the_items_of_a_dict(scope: Scope, sink: Sink) -> None:
    scope.metrics["a"] = 1
    scope.metrics["b.c"] = "x"
    scope.metrics["d"] = 2
    del scope.metrics["d"]

    assert sink.metrics == {"a": 1, "b": {"c": "x"}}


@pytest.mark.parametrize("delete", ["delete", "None as an item", "None recorded"])
def test_a_metric_is_deleted_and_may_then_be_of_another_kind(scope: Scope, sink: Sink, delete: str) -> None:
    scope.metrics["q"] = 1

    match delete:
        case "delete":
            scope.metrics.delete("q")
        case "None as an item":
            scope.metrics["q"] = None
        case _:
            scope.record_metric("q", None)

    assert sink.metrics == {}
    scope.metrics["q"] = "text"
    assert sink.metrics == {"q": "text"}


@pytest.mark.parametrize(
    ("old", "new", "names"), [(1, "a", ("int", "str")), (1, 0.5, ("int", "float")), (True, 1, ("bool", "int"))]
)
def test_a_metric_does_not_change_its_kind(scope: Scope, old: object, new: object, names: tuple[str, str]) -> None:
    scope.record_metric("q", old)

    with pytest.raises(TypeError) as caught:
        scope.record_metric("q", new)

    assert str(caught.value) == (f"Metric 'q' has type {names[0]}, cannot set to {names[1]} without deleting first")


@pytest.mark.parametrize("value", ["text", True, [1]])
def test_only_numbers_are_added_up(scope: Scope, value: object) -> None:
    with pytest.raises(TypeError, match="Increment mode requires int or float, got"):
        scope.record_metric("m", value, mode="incr")


def test_an_unknown_mode_is_refused(scope: Scope) -> None:
    with pytest.raises(TypeError, match=r"Invalid metric mode: 'max'\. Expected 'replace', 'incr', or 'append'"):
        scope.record_metric("m", 1, mode="max")


def test_context_is_a_dict_of_the_prediction_s_own(scope: Scope) -> None:
    assert scope.context == {"region": "eu"}


# ---------------------------------------------------------------------- outside of a prediction


def test_outside_of_a_prediction_nothing_is_kept_and_nothing_fails() -> None:
    scope = current_scope()

    scope.record_metric("m", 1)
    scope.metrics["_bad name"] = 1
    del scope.metrics["m"]
    scope.metrics.delete("m")
    BaseRunner().record_metric("m", 1, mode="append")
    emit_metric("m", 1)

    assert (scope.context, BaseRunner().scope.context) == ({}, {})


# ---------------------------------------------------------------------- names that contradict each other


@pytest.mark.parametrize(
    ("steps", "folded"),
    [
        ([("a", 1, "replace"), ("a.b", 2, "replace")], {"a": {"b": 2}}),
        ([("a.b", 1, "replace"), ("a", 2, "replace")], {"a": 2}),
        ([("a", 1, "replace"), ("a", 2, "append")], {"a": [1, 2]}),
        ([("a", "x", "append"), ("a", "y", "replace")], {"a": "y"}),
        ([("a.b", 1, "replace"), ("a", 2, "increment")], {"a": 2}),
        ([("a.b", None, "replace")], {"a": {}}),
    ],
)
def test_the_later_metric_counts(steps: list[tuple[str, Any, str]], folded: dict[str, Any]) -> None:
    metrics: dict[str, Any] = {}

    for name, value, mode in steps:
        fold_nested_metric(metrics, name, value, mode)

    assert metrics == folded
