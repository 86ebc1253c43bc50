"""How many predictions a worker should run at a time, found by trying.

A limit is tried against another by what the model gives with all slots taken. Its throughput follows from
Little's law, as predictions in flight over their mean service time, which does not depend on when completions
happen to be counted. More slots are worth having if throughput grows by a good part of what they promise: a
step to `n` times the slots has to bring more than `n ** 0.1` times the throughput. That finds

    a model that computes, or holds a lock     throughput stays the same: the minimum
    a model that waits, for k at a time        it grows up to k, and then no more: k
    a GPU that batches                         it grows ever less: where 10 % more slots bring 1 % more

and a latency target, if there is one, ends the climb before that.

Two limits are measured in turns, in stretches that become twice as long each time, until the difference is
larger than the noise. So steady models are settled within a few hundred predictions and noisy ones are not
judged by accident, and a load that changes slowly weighs on both sides alike.

Source:
    The search is hill climbing as in Hellerstein, Morrison and Eilebrecht, "Optimizing Concurrency Levels in the
    .NET ThreadPool", FeBID 2008. What it climbs is the generalized power of Kleinrock, "Power and Deterministic
    Rules of Thumb for Probabilistic Problems in Computer Communications", ICC 1979. Over the latency target the
    limit is divided, and afterwards grows in steps, as in Chiu and Jain, "Analysis of the Increase and Decrease
    Algorithms for Congestion Avoidance in Computer Networks", 1989.
"""

import math
from typing import Final

from servekit.runtime.limit_steps import Steps
from servekit.runtime.service_times import ServiceTimes

__all__ = ["ConcurrencyLimit"]


class ConcurrencyLimit:
    """A number of slots that follows what the model can do.

    It has no clock, keeps a handful of numbers, and takes the same short time for each prediction.

    Args:
        minimum: The least number of slots, and the first.
        maximum: The greatest.
        target_seconds: What 95 % of the service times should stay below; no bound if not given.

    Attributes:
        current: The limit as it is now.
    """

    def __init__(self, minimum: int, maximum: int, target_seconds: float | None = None) -> None:
        self.current = minimum
        self._minimum = minimum
        self._target = math.inf if target_seconds is None else target_seconds
        self._base = minimum  # what a trial starts from, and goes back to if it does not pay
        self._steps = Steps(minimum, maximum)
        self._at_base = self._new_times()
        self._at_step = self._new_times()
        self._earlier: ServiceTimes | None = None  # at the same base, before this trial
        self._stretch = 1
        self._counted = 0
        self._ended_at = -math.inf

    def pause(self) -> None:
        """A prediction ended that the limit did not matter for: nothing is learned until it matters for a while."""
        self._counted = 0

    def record(self, now: float, seconds: float, in_flight: int, *, is_wanted: bool) -> None:
        """Take in a prediction that ended while all slots were taken.

        Args:
            now: A monotonic clock, in seconds.
            seconds: How long it had its slot.
            in_flight: How many ran at the time on all workers, it included.
            is_wanted: Whether others waited for a slot, or were refused one.
        """
        if now - seconds - self._ended_at > _STALE_SECONDS:
            self._begin_trial()  # what was measured before may be of another day
        self._ended_at = now
        self._counted += 1
        settling = _SETTLING * in_flight
        if self._counted <= settling:
            return  # some of these began under another limit
        times = self._at_base if self.current == self._base else self._at_step
        times.add(max(seconds, _SHORTEST_SECONDS), is_wanted=is_wanted)
        if seconds > self._target and self.current > self._minimum and times.is_surely_over_target:
            self._retreat(times)
        elif self._counted - settling >= max(_FEWEST, _TURNS * in_flight) * self._stretch:
            self._end_stretch()

    def _end_stretch(self) -> None:
        if self.current != self._base:
            self._judge()
            return
        if self._earlier is not None and self._at_base.differs_from(self._earlier):
            self._steps.restart(upwards=self._at_base.mean < self._earlier.mean)
        elif self._steps.is_resting:
            self._steps.rest()
        elif self._at_base.is_wanted:
            self._try_next()
            return
        self._begin_trial()

    def _try_next(self) -> None:
        step = self._steps.next_from(self._base)
        if step == self._base:
            self._steps.refuse(self._base)
            self._begin_trial()
        else:
            self._go_to(step)

    def _judge(self) -> None:
        gain, error = self._compare()
        is_last = self._at_step.count >= _MOST
        needed = (_LIKELY if is_last else _SURE) * error
        if gain > needed:
            self._steps.accept()
            self._base = self.current
            self._at_base = self._at_step
        elif gain < -needed:
            self._steps.refuse(self._base)
        elif is_last:
            self._steps.leave_open()
        else:
            self._stretch *= 2
            self._go_to(self._base)
            return
        self._begin_trial()

    def _compare(self) -> tuple[float, float]:
        """Return by how much the step is better than where it started from, and how far that may be off."""
        slots = math.log(self.current / self._base)
        throughput = slots - math.log(self._at_step.mean / self._at_base.mean)
        if slots > 0 and self._at_step.is_over_target:
            throughput = -math.inf
        return throughput - _WORTH * slots, math.hypot(self._at_base.relative_error, self._at_step.relative_error)

    def _retreat(self, times: ServiceTimes) -> None:
        """The target is missed: leave the step, or if it is not the step that misses it, divide the limit."""
        if self.current > self._base:
            self._steps.refuse(self._base)
        else:
            share = min(_GENTLEST, max(_HARSHEST, self._target / times.mean))
            self._base = max(self._minimum, int(self.current * share))
            self._at_base = self._new_times()  # those there are were measured at another limit
            self._steps.settle()
        self._begin_trial()

    def _begin_trial(self) -> None:
        """Measure anew at the base; what was measured there before shows whether the model has changed."""
        self._earlier = self._at_base if self._at_base.count >= _FEWEST else None
        self._at_base = self._new_times()
        self._at_step = self._new_times()
        if not self._steps.is_resting:
            self._stretch = 1
        self._go_to(self._base)

    def _new_times(self) -> ServiceTimes:
        return ServiceTimes(self._target)

    def _go_to(self, limit: int) -> None:
        self.current = limit
        self._counted = 0


_WORTH: Final = 0.1
"""The exponent of slots in the generalized power, throughput / slots ** 0.1: 10 % more slots are worth having for 1 %
more throughput. A greater one gives up throughput of models that batch, a smaller one is lost in the noise."""

_SETTLING: Final = 2
_TURNS: Final = 4
"""How often all slots are taken anew before a stretch counts, and while it does."""

_FEWEST: Final = 16
_MOST: Final = 1000
"""Predictions in a stretch of the first length; and at the other limit before a trial ends undecided."""

_SURE: Final = 2.5
_LIKELY: Final = 1.0
"""Standard errors by which one limit must be better than another; the second at the end of a trial."""

_GENTLEST: Final = 0.9
_HARSHEST: Final = 0.5
"""By what the limit is multiplied when the target is missed: by as much as it is missed, within these bounds."""

_STALE_SECONDS: Final = 60.0
"""After so long without a prediction that had to wait, what was measured is forgotten; the limit stays."""

_SHORTEST_SECONDS: Final = 1e-6
"""A clock may not tell two moments apart."""
