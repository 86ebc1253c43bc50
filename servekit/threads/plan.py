"""What `parallel` and `aparallel` were told, checked once."""

import math
from collections.abc import Callable, Iterable, Sized
from contextvars import Context, copy_context
from dataclasses import dataclass
from importlib import import_module
from typing import Any, TypeAlias

from servekit.threads.context import is_async, refuse_deferred
from servekit.threads.retrying import RetryPolicy

__all__ = ["Plan", "ProgressCallback", "make_plan"]

ProgressCallback: TypeAlias = Callable[[int, int, int | None], object]
"""Called with the number of items that have a result, that failed, and of all of them, or None if it is unknown."""


@dataclass(frozen=True)
class Plan:
    """How items are worked on; see `parallel` for what each field means."""

    caller: str
    context: Context
    max_concurrency: int
    ordered: bool
    collect_errors: bool
    timeout: float | None
    retries: RetryPolicy | None
    max_errors: int | None
    progress: ProgressCallback | bool
    total: int | None


def make_plan(
    caller: str,
    fn: Callable[[Any], Any],
    items: Iterable[Any],
    *,
    max_concurrency: int,
    ordered: bool,
    on_error: str,
    timeout: float | None,
    retries: int | RetryPolicy,
    max_errors: int | None,
    progress: ProgressCallback | bool,
) -> Plan:
    """Check the arguments of a call.

    Raises:
        TypeError: `fn` is a generator function.
        ValueError: An argument is out of its range, or does not go with another.
    """
    if not is_async(fn):
        refuse_deferred(fn, caller)
    if max_concurrency < 1:
        raise ValueError(f"max_concurrency is {max_concurrency}; it must be at least 1")
    if on_error not in ("raise", "collect"):
        raise ValueError(f'on_error is {on_error!r}; it must be "raise" or "collect"')
    if timeout is not None and not (math.isfinite(timeout) and timeout > 0):
        raise ValueError(f"timeout is {timeout}; it must be a number of seconds above 0, or None")
    if max_errors is not None and max_errors < 1:
        raise ValueError(f"max_errors is {max_errors}; it must be at least 1, or None for no limit")
    if max_errors is not None and on_error == "raise":
        raise ValueError('max_errors counts errors that are collected; give on_error="collect" with it')
    policy = retries if isinstance(retries, RetryPolicy) else RetryPolicy(retries)
    if policy.retries:
        # Now, and not at the first failure, when an event loop would wait for it, or a cancelation strike inside.
        import_module("tenacity")
    return Plan(
        caller=caller,
        context=copy_context(),
        max_concurrency=max_concurrency,
        ordered=ordered,
        collect_errors=on_error == "collect",
        timeout=timeout,
        retries=policy if policy.retries else None,
        max_errors=max_errors,
        progress=progress,
        total=len(items) if isinstance(items, Sized) else None,
    )
