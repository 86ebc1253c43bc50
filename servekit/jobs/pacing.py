"""How many rows, and how many tokens, are begun per second at most."""

import re
from collections.abc import Callable
from typing import Final

from servekit.errors import UsageError
from servekit.jobs.rows import Outcome, Row

__all__ = ["Pacer", "TokenBucket", "parse_rate"]


def parse_rate(text: str | float) -> float:
    """Return a rate as a number per second.

    Args:
        text: A number per second, or text such as `100/s`, `5000/min` or `1e6/h`.

    Raises:
        UsageError: It is none, or not more than 0.
    """
    match = _RATE.fullmatch(str(text).strip())
    per_second = float(match["number"]) / _SECONDS[match["unit"] or "s"] if match else 0.0
    if not 0 < per_second < float("inf"):
        message = f'"{text}" is no rate; write a number above 0 and a unit of time: 100/s, 5000/min or 1e6/h'
        raise UsageError(message)
    return per_second


_RATE: Final = re.compile(
    r"(?P<number>\d+(?:\.\d*)?(?:[eE]\+?\d+)?)\s*(?:/\s*(?P<unit>s|sec|second|m|min|minute|h|hour))?"
)
_SECONDS: Final = {
    "s": 1.0,
    "sec": 1.0,
    "second": 1.0,
    "m": 60.0,
    "min": 60.0,
    "minute": 60.0,
    "h": 3600.0,
    "hour": 3600.0,
}


class TokenBucket:
    """Lets so much through per second, in bursts of a bounded size.

    It may go into debt: what turns out to be larger than was thought is paid back before anything else gets
    through. Times are given from outside, on one clock in seconds.

    Args:
        per_second: The rate in the long run.
        burst: How much may go at once after a pause.
        now: The time.
    """

    def __init__(self, per_second: float, burst: float, now: float) -> None:
        self._per_second = per_second
        self._burst = burst
        self._level = burst
        self._seen = now

    def delay(self, now: float, amount: float) -> float:
        """Return in how many seconds so much may be taken. More than a burst may be, when the bucket is full."""
        self._refill(now)
        lacking = min(amount, self._burst) - self._level
        return max(0.0, lacking / self._per_second)

    def take(self, now: float, amount: float) -> None:
        """Take so much, or give it back if it is negative."""
        self._refill(now)
        self._level = min(self._burst, self._level - amount)

    def _refill(self, now: float) -> None:
        self._level = min(self._burst, self._level + max(0.0, now - self._seen) * self._per_second)
        self._seen = max(now, self._seen)


class Pacer:
    """Says when the next attempt may begin.

    What an attempt costs in tokens is known when it has ended, if the predictor records it as a metric. Until
    then it counts as much as those before it did on average, and the difference is settled afterwards. Where
    `tokens` is a function of the row, that is what it costs.

    Args:
        rate: Attempts per second, or None for any number.
        token_rate: Tokens per second, or None for any number.
        tokens: The name of the metric that counts them, or a function of the row.
        now: The time.
    """

    def __init__(
        self, rate: float | None, token_rate: float | None, tokens: str | Callable[[Row], float], now: float
    ) -> None:
        self._attempts = None if rate is None else TokenBucket(rate, max(1.0, rate * _BURST_SECONDS), now)
        self._tokens = None if token_rate is None else TokenBucket(token_rate, token_rate * _TOKEN_BURST_SECONDS, now)
        self._count = tokens
        self._mean = 0.0
        self._counted = 0

    @property
    def is_idle(self) -> bool:
        """Whether it never says wait."""
        return self._attempts is None and self._tokens is None

    def delay(self, now: float, row: Row) -> float:
        """Return in how many seconds an attempt at this row may begin."""
        wait = 0.0 if self._attempts is None else self._attempts.delay(now, 1.0)
        if self._tokens is None:
            return wait
        return max(wait, self._tokens.delay(now, self._expected(row)))

    def begin(self, now: float, row: Row) -> float:
        """An attempt begins; return the tokens that it was charged, for `end`."""
        if self._attempts is not None:
            self._attempts.take(now, 1.0)
        if self._tokens is None:
            return 0.0
        charged = self._expected(row)
        self._tokens.take(now, charged)
        return charged

    def end(self, now: float, charged: float, outcome: Outcome) -> None:
        """An attempt has ended; settle what it has really cost."""
        if self._tokens is None or not isinstance(self._count, str):
            return
        metric = outcome.metrics.get(self._count)
        cost = float(metric) if isinstance(metric, int | float) and metric > 0 else 0.0
        self._tokens.take(now, cost - charged)
        if outcome.is_success:
            self._counted = min(self._counted + 1, _MEMORY)
            self._mean += (cost - self._mean) / self._counted

    def _expected(self, row: Row) -> float:
        return self._mean if isinstance(self._count, str) else max(0.0, float(self._count(row)))


_BURST_SECONDS: Final = 0.1
_TOKEN_BURST_SECONDS: Final = 1.0
"""How much of the rate may go at once. By feel: attempts are spread evenly, while one row may have many tokens."""

_MEMORY: Final = 100
"""The average is over about so many rows, so that it follows when their size changes."""
