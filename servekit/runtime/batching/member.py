"""A prediction that runs in a batch with others."""

import contextvars
import math
import numbers
import threading
import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from servekit.configuration.overlays import push_layer
from servekit.configuration.requests import write_overrides
from servekit.errors import CancelationError
from servekit.runtime.assignment import Assignment, Surroundings
from servekit.runtime.batching.policy import BatchPolicy
from servekit.runtime.interrupt import ThreadInterrupt
from servekit.runtime.protocol import Log, Metric, Outputs, Run
from servekit.scope import enter_scope

__all__ = ["Member", "MemberHome"]

_T = TypeVar("_T")


class MemberHome(Protocol):
    """Where members wait and run."""

    def receive(self, member: "Member") -> None:
        """Take a prediction that has just come."""

    def withdraw(self, member: "Member") -> None:
        """Let a prediction that was asked to stop go."""

    def give_up(self, member: "Member") -> None:
        """Take note that a prediction does not stop."""


class Member:
    """One prediction, from its arrival in the worker to its end.

    Attributes:
        assignment: The prediction.
        rank: Of two, the one with the lower goes first.
        arrived: When it came, on the clock of `time.perf_counter`.
        due: When its time is up, on the same clock.
        inputs: Its arguments for `predict`.
        overrides: The settings that are other ones for it.
        cost: What it costs.
        key: With which others it can be in a batch.
        is_over: It has ended, for everybody but the batch that it may be in.
        shield: By what the thread that works for it may be interrupted.
    """

    def __init__(self, worker: Surroundings, run: Run, home: MemberHome) -> None:
        self.assignment = Assignment(worker, run, self.post)
        self.rank = run.rank
        self.arrived = time.perf_counter()
        self.due = math.inf if run.deadline is None else self.arrived + run.deadline - time.time()
        self.inputs: dict[str, Any] = {}
        self.overrides: Mapping[str, Any] = {}
        self.cost = 1.0
        self.key: Hashable = None
        self.is_over = False
        self.shield: ThreadInterrupt | None = None
        self._worker = worker
        self._home = home
        self._context = contextvars.Context()
        self._context.run(enter_scope, self.assignment.scope, self.assignment.sink)
        self._lock = threading.Lock()

    # ------------------------------------------------------------------ for the worker

    def start(self) -> None:
        """Begin to wait."""
        self._home.receive(self)

    def cancel(self) -> None:
        """Ask the prediction to stop. It leaves; those it is with go on."""
        self.assignment.scope.mark_cancelled()
        self._home.withdraw(self)

    def give_up(self) -> None:
        """It did not stop in time, nor did the batch that it is in."""
        self._home.give_up(self)

    def pause(self) -> None:
        """Do nothing: a reader who is slow must not stop the others of the batch. Its items are kept for it."""

    def resume(self) -> None:
        """Do nothing; see `pause`."""

    # ------------------------------------------------------------------ for its home

    def prepare(self, policy: BatchPolicy) -> None:
        """Decode its input, and find out what it costs and where it belongs; files are fetched here.

        Raises:
            InputError: The input, or a setting that is overridden, does not fit.
            Exception: `cost` or `key` failed.
        """
        self.overrides = self.in_scope(self.assignment.read_overrides)
        self.in_scope(push_layer, self.overrides)
        self.inputs = self.in_scope(self.assignment.decode)
        if policy.cost is not None:
            self.cost = _check_cost(self.in_scope(policy.cost, self.inputs))
        if policy.key is not None:
            self.key = _check_key(self.in_scope(policy.key, self.inputs))
        if self.overrides:
            assignment = self.assignment
            self.key = _KeyWithOverrides(self.key, write_overrides(assignment.scope.context), assignment.run.overlay)

    def in_scope(self, function: Callable[..., _T], *arguments: Any) -> _T:
        """Call something that is about this prediction alone, by one thread at a time."""
        return self._context.run(function, *arguments)

    def begin(self, size: int) -> None:
        """Take note of a call for so many predictions, this one among them."""
        assignment = self.assignment
        if assignment.batch_size is None:
            assignment.started_at = time.perf_counter()
        assignment.batch_size = size

    def post(self, message: Outputs | Log | Metric) -> None:
        """Send a message from whatever thread, whole or not at all."""
        if self.shield is None:
            self._worker.post(message)
        else:
            self.shield.shielded(self._worker.post, message)

    def succeed(self, output: bytes | None) -> None:
        """End it well, unless it is over. Of several ends the first counts, in whatever thread."""
        if self._is_first_end():
            self.assignment.succeed(output)

    def fail(self, error: BaseException) -> None:
        """End it by an error, unless it is over."""
        if self._is_first_end():
            self.assignment.fail(error)

    def leave(self) -> None:
        """End it as canceled, unless it is over."""
        self.fail(CancelationError())

    def _is_first_end(self) -> bool:
        with self._lock:
            is_first = not self.is_over
            self.is_over = True
        return is_first


@dataclass(frozen=True, slots=True)
class _KeyWithOverrides:
    """A batch has one value for each setting, so those with other overrides are in another one."""

    key: Hashable
    overrides: str
    overlay: bytes | None


def _check_cost(cost: Any) -> float:
    number = float(cost) if not isinstance(cost, bool) and isinstance(cost, numbers.Real) else math.nan
    if not 0 <= number < math.inf:
        message = f"the cost of @batch returned {cost!r}; it must be a finite number, not below 0"
        raise TypeError(message)
    return number


def _check_key(key: Any) -> Hashable:
    try:
        hash(key)
    except TypeError:
        message = f"the key of @batch returned a {type(key).__name__}, which cannot be hashed; return a tuple or a text"
        raise TypeError(message) from None
    found: Hashable = key
    return found
