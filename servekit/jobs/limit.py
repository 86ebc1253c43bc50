"""How many rows run at a time, where nobody but trying can tell."""

import math
from typing import Final

from servekit.runtime.limit import ConcurrencyLimit

__all__ = ["AdaptiveLimit"]


class AdaptiveLimit:
    """A number of rows at a time that follows what a server makes of them.

    It climbs as long as more at a time brings more throughput (see `servekit.runtime.limit`), below a ceiling
    that every refusal lowers and every success raises a little. The two are told apart since a refusal says
    nothing of throughput: the server may do well, and have a limit for each caller.

    It has no clock. Refusals of attempts that began before the last cut do not cut again: they were on
    their way already.

    Args:
        most: The greatest number.
    """

    def __init__(self, most: int = 64) -> None:
        self._climb = ConcurrencyLimit(min(_FIRST, most), most)
        self._most = most
        self._ceiling = float(most)
        self._cut_at = -math.inf

    @property
    def current(self) -> int:
        """How many rows may run now, at least 1."""
        return max(1, min(self._climb.current, int(self._ceiling)))

    def record(self, now: float, seconds: float, running: int) -> None:
        """An attempt ended and was no refusal.

        Args:
            now: A monotonic clock, in seconds.
            seconds: How long it took.
            running: How many ran at the time, it included.
        """
        if running < self.current:
            self._climb.pause()
            return
        self._ceiling = min(float(self._most), self._ceiling + 1.0 / self._ceiling)
        if self._ceiling < self._climb.current:
            self._climb.pause()  # what is measured now was not chosen by the climb
        else:
            self._climb.record(now, seconds, running, is_wanted=True)

    def refuse(self, now: float, seconds: float, running: int) -> None:
        """An attempt was refused for now; as `record`."""
        if now - seconds < self._cut_at:
            return
        self._cut_at = now
        self._ceiling = max(1.0, min(self._ceiling, running) * _CUT)


_FIRST: Final = 4
"""With how many it begins; few enough for any server, by feel."""

_CUT: Final = 0.7
"""What a refusal leaves of the ceiling."""
