"""Which of the predictions that wait make the next batch, and whether it is worth to wait for more.

Pure decisions: it has no clock and starts nothing. All times are given from outside, on one clock in seconds.
"""

import bisect
from collections.abc import Hashable
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Final, Generic, Protocol, TypeVar

from servekit.runtime.batching.arrivals import Arrivals
from servekit.runtime.batching.curve import CostCurve
from servekit.runtime.batching.policy import BatchPolicy

__all__ = ["Gathering", "Waiting"]


class Waiting(Protocol):
    """A prediction that waits for its batch.

    Attributes:
        rank: Of two, the one with the lower goes first.
        cost: What it costs.
        key: With which others it can be.
        arrived: When it came.
        due: When its time is up; infinity if it has no end.
    """

    rank: float
    cost: float
    key: Hashable
    arrived: float
    due: float


M = TypeVar("M", bound=Waiting)


@dataclass
class _Group(Generic[M]):
    """Predictions that can be in one batch, the most urgent first."""

    members: list[M] = field(default_factory=list[M])
    cost: float = 0.0
    is_full: bool = False

    def add(self, member: M) -> None:
        self.members.append(member)
        self.cost += member.cost


class Gathering(Generic[M]):
    """The predictions that wait in a worker.

    Args:
        policy: What batches may be.
        curve: How long calls take.
        arrivals: When the next ones may be expected.
    """

    def __init__(self, policy: BatchPolicy, curve: CostCurve, arrivals: Arrivals) -> None:
        self._policy = policy
        self._curve = curve
        self._arrivals = arrivals
        self._members: list[M] = []
        self._has_keys = policy.key is not None

    def __len__(self) -> int:
        return len(self._members)

    def add(self, member: M) -> None:
        """A prediction waits; among equals it stands behind those that are there."""
        self._has_keys = self._has_keys or member.key is not None  # of those that override settings
        bisect.insort_right(self._members, member, key=_RANK)

    def remove(self, member: M) -> bool:
        """Take one out, wherever it stands, and say whether it was there."""
        if member not in self._members:
            return False
        self._members.remove(member)
        return True

    def take_all(self) -> list[M]:
        """Remove and return all of them."""
        members, self._members = self._members, []
        return members

    def take(self, now: float) -> list[M]:
        """Remove and return those that make a batch now; none if it is worth to wait, see `pause`."""
        for group in self._groups(now):
            if self._seconds_to_wait(group, now) <= 0:
                chosen = {id(member) for member in group.members}
                self._members = [member for member in self._members if id(member) not in chosen]
                return group.members
        return []

    def pause(self, now: float) -> float | None:
        """Return after how many seconds `take` should be asked again; None if nobody waits."""
        return min((self._seconds_to_wait(group, now) for group in self._groups(now)), default=None)

    # ------------------------------------------------------------------ who

    def _groups(self, now: float) -> list[_Group[M]]:
        """Return what each batch would be, the one with the most urgent prediction first."""
        if not self._has_keys:
            return [self._gather(self._members, now)] if self._members else []
        by_key: dict[Hashable, list[M]] = {}
        for member in self._members:
            by_key.setdefault(member.key, []).append(member)
        return [self._gather(members, now) for members in by_key.values()]

    def _gather(self, members: list[M], now: float) -> _Group[M]:
        group: _Group[M] = _Group()
        room = self._room(members, now)
        for member in members:
            if len(group.members) == self._policy.max_size:
                break
            if group.members and group.cost + member.cost > room:
                group.is_full = True  # a smaller one behind it may fit in still
                continue
            group.add(member)
        group.is_full |= len(group.members) == self._policy.max_size
        return group

    def _room(self, members: list[M], now: float) -> float:
        """Return what a batch may cost: what is allowed, and what the oldest of them has the time for."""
        policy = self._policy
        room = float("inf") if policy.max_cost is None else policy.max_cost
        if policy.target_latency is None:
            return room
        oldest = min(members, key=_ARRIVED)
        left = oldest.arrived + policy.target_latency - now
        if left < self._curve.seconds_for(oldest.cost):
            return room  # it is too late for that one: small batches would make it later for all that come after
        return min(room, self._curve.cost_within(left))

    # ------------------------------------------------------------------ when

    def _seconds_to_wait(self, group: _Group[M], now: float) -> float:
        if group.is_full:
            return 0.0
        until = self._wait_until(group, now)
        if until <= now:
            return 0.0
        seconds = self._curve.seconds_for(group.cost)
        latest = min(member.due for member in group.members) - seconds
        if self._policy.target_latency is not None:
            latest = min(latest, min(group.members, key=_ARRIVED).arrived + self._policy.target_latency - seconds)
        return max(0.0, min(until, latest) - now)

    def _wait_until(self, group: _Group[M], now: float) -> float:
        if self._policy.max_wait is not None:
            return min(group.members, key=_ARRIVED).arrived + self._policy.max_wait
        # One more saves the time of a call; until it comes everyone waits.
        is_worth_it = len(group.members) * self._arrivals.gap < self._curve.saving
        return now + self._arrivals.patience(now) if is_worth_it else now


_RANK: Final = attrgetter("rank")
_ARRIVED: Final = attrgetter("arrived")
