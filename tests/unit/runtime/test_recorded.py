"""Metrics as they are folded into what an answer shows."""

from typing import Any

import pytest

from servekit.runtime.recorded import fold_metric


@pytest.mark.parametrize(
    ("steps", "folded"),
    [
        ([("a.b", 1, "replace")], {"a.b": 1}),
        ([("a", 1, "replace"), ("a", None, "replace")], {"a": None}),
        ([("a", 1, "increment"), ("a", 2, "increment")], {"a": 3}),
        ([("a", "x", "append"), ("a", "y", "append")], {"a": ["x", "y"]}),
    ],
)
def test_a_metric_is_kept_under_its_whole_name(steps: list[tuple[str, Any, str]], folded: dict[str, Any]) -> None:
    metrics: dict[str, Any] = {}

    for name, value, mode in steps:
        fold_metric(metrics, name, value, mode)

    assert metrics == folded
