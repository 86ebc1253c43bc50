"""What a call of `parallel` says about itself when not all went well."""

from collections.abc import Iterable
from typing import Any

from servekit.errors import ItemStoppedError, ItemTimeoutError, ParallelError
from servekit.threads.plan import Plan
from servekit.threads.progress import Progress

__all__ = ["describe_left", "describe_stop", "fill_results", "item_timed_out", "places_are_held", "too_many_failed"]


def item_timed_out(plan: Plan) -> ItemTimeoutError:
    """Make the error of an item that took too long."""
    return ItemTimeoutError(
        f"the item took longer than its timeout of {plan.timeout:g} s. An async function is cancelled then; "
        "a thread cannot be interrupted, and goes on until its call returns."
    )


def places_are_held(plan: Plan, seconds: float) -> ParallelError:
    """Make the error of a call that has no place left for any item."""
    return ParallelError(
        f"all {plan.max_concurrency} places of {plan.caller}() have been held for {seconds:g} s by calls that timed "
        "out and do not return, so no item can be started. Give the function itself a timeout, or make it async, so "
        "that it can be cancelled."
    )


def too_many_failed(plan: Plan, failed: int, last: BaseException) -> ParallelError:
    """Make the error of a call of which `max_errors` items failed."""
    error = ParallelError(f"{plan.caller}() ended early: {failed} items failed, the last one with {last!r}")
    error.__cause__ = last
    return error


def describe_stop(plan: Plan, counts: Progress, started: int, running: int) -> str:
    """Say what had become of the items when the call was stopped."""
    said = f"{plan.caller}() was stopped: {counts.done} items done, {counts.failed} failed"
    if stopped := started - counts.done - counts.failed:
        said += f", {stopped} stopped before their end"
    if plan.total is not None:
        said += f", {_count_not_started(plan, started)} not started"
    if running:
        said += f"; {_count_calls(running)} not returned yet, which cannot be interrupted"
    return said


def describe_left(plan: Plan, running: int) -> str:
    """Say what runs on though the call has ended."""
    return (
        f"{plan.caller}() is over, with {_count_calls(running)} that timed out and not returned yet; "
        "a thread cannot be interrupted, and goes on until its call returns"
    )


def fill_results(
    failure: ParallelError, plan: Plan, counts: Progress, outcomes: dict[int, Any], cut: Iterable[int], started: int
) -> None:
    """Give an error what has become of the items."""
    stopped = "the item was stopped before its end, because the whole call ended early"
    failure.results = [outcomes.get(index, ItemStoppedError(stopped)) for index in sorted({*outcomes, *cut})]
    failure.done, failure.failed = counts.done, counts.failed
    failure.not_started = _count_not_started(plan, started)


def _count_calls(number: int) -> str:
    return "1 call" if number == 1 else f"{number} calls"


def _count_not_started(plan: Plan, started: int) -> int | None:
    return None if plan.total is None else max(0, plan.total - started)
