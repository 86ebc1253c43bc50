"""When something that was sent over HTTP and not taken is sent again: webhooks, and files of outputs."""

import email.utils
import random
import time
from typing import Final

__all__ = ["choose_pause", "is_worth_retrying", "parse_retry_after"]

_FIRST_PAUSE_SECONDS: Final = 0.2
_LONGEST_PAUSE_SECONDS: Final = 102.4
_LONGEST_ORDERED_PAUSE_SECONDS: Final = 600.0
_MAX_DIGITS: Final = 9

_TRANSIENT: Final = frozenset({408, 429})
_FIRST_SERVER_ERROR: Final = 500


def is_worth_retrying(status: int) -> bool:
    """Whether a receiver that answered this may take the same later."""
    return status in _TRANSIENT or status >= _FIRST_SERVER_ERROR


def choose_pause(failures: int, retry_after_seconds: float) -> float:
    """Return how long to wait before the next try.

    The pauses double, as Cog's do, and are spread: those that failed together do not all come back together.

    Args:
        failures: How many tries there were.
        retry_after_seconds: How long the receiver asked to wait; 10 minutes of it are granted.
    """
    longest = min(_FIRST_PAUSE_SECONDS * 2.0 ** min(failures - 1, 16), _LONGEST_PAUSE_SECONDS)
    pause = random.uniform(longest / 2, longest)  # noqa: S311 - spreads load, hides nothing
    return max(pause, min(retry_after_seconds, _LONGEST_ORDERED_PAUSE_SECONDS))


def parse_retry_after(value: str | None, now: float | None = None) -> float:
    """Return the seconds that a Retry-After header asks for; 0 for none, and for one that cannot be read.

    Args:
        value: Seconds or a date, RFC 9110 section 10.2.3.
        now: Seconds since the epoch; the current time if not given.
    """
    if value is None:
        return 0.0
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text[:_MAX_DIGITS])
    try:
        date = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    return max(0.0, date.timestamp() - (time.time() if now is None else now))
