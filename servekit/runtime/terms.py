"""What a request asks for beside its input: how urgent it is, how long it may take, on whose account it runs."""

from dataclasses import dataclass
from typing import Final

__all__ = ["DEFAULT_TERMS", "HIGHEST_PRIORITY", "LOWEST_PRIORITY", "Terms"]

LOWEST_PRIORITY: Final = -10
HIGHEST_PRIORITY: Final = 10


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms of one prediction.

    Attributes:
        priority: The higher goes first, from `LOWEST_PRIORITY` to `HIGHEST_PRIORITY`.
        timeout: How many seconds it may take, waiting included; None leaves it to the spec.
        queue_timeout: How many seconds it may wait for a slot; None leaves it to the spec.
        caller: Stands for whoever asks, where that is limited; empty for those who do not say who they are.
        asked_at: When the request came that this is only a part of, on the clock of `time.perf_counter`; None for a
            prediction that is a request of its own. The `timeout` of a part counts from then on, and the spec's only
            from its slot on: how long it waits is the business of who asks for the parts one after the other.
    """

    priority: int = 0
    timeout: float | None = None
    queue_timeout: float | None = None
    caller: bytes | None = None
    asked_at: float | None = None


DEFAULT_TERMS: Final = Terms()
