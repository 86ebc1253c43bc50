"""What a prediction records, folded into the `metrics` that its answer shows."""

from typing import Any

__all__ = ["fold_metric", "fold_nested_metric"]


def fold_metric(metrics: dict[str, Any], name: str, value: Any, mode: str) -> None:
    """Put a value under a name; the worker has made sure that it goes with the mode and with what is there."""
    old = metrics.get(name)
    if mode == "increment":
        metrics[name] = value if old is None else old + value
    elif mode == "append" and old is not None:
        old.append(value)
    else:
        metrics[name] = [value] if mode == "append" else value


def fold_nested_metric(metrics: dict[str, Any], name: str, value: Any, mode: str) -> None:
    """Put a value where the dots of its name lead, the way Cog does it.

    The worker looks at each name by itself, so names may contradict each other, as "a" and "a.b" do.
    The later one counts: what is in the way of an object or a sum makes room, an append keeps it.
    Null removes what is there.
    """
    *parents, leaf = name.split(".")
    for parent in parents:
        if not isinstance(metrics.get(parent), dict):
            metrics[parent] = {}
        metrics = metrics[parent]
    old = metrics.get(leaf)
    if value is None:
        metrics.pop(leaf, None)
    elif mode == "append" and isinstance(old, list):
        old.append(value)  # pyright: ignore[reportUnknownMemberType] - any JSON
    elif mode == "append":
        metrics[leaf] = [value] if old is None else [old, value]
    elif mode == "increment" and isinstance(old, int | float):
        metrics[leaf] = old + value
    else:
        metrics[leaf] = value
