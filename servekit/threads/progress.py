"""Telling how far a call of `parallel` has come."""

import logging
import math
import sys
import time
from typing import Final

from servekit.threads.plan import Plan, ProgressCallback

__all__ = ["Progress"]

_LINES_EVERY_SECONDS: Final = 0.1  # by feel: what an eye can follow


class Progress:
    """Counts the items of one call, and tells its caller. Used by the thread that coordinates the call.

    Attributes:
        done: How many items have a result.
        failed: How many items failed for good.
    """

    def __init__(self, plan: Plan) -> None:
        self.done = 0
        self.failed = 0
        self._total = plan.total
        self._line = _Line() if plan.progress is True and sys.stderr.isatty() else None
        self._callback: ProgressCallback | None = self._line
        if not isinstance(plan.progress, bool):
            self._callback = plan.progress

    def count(self, *, is_failed: bool) -> None:
        """Take note of an item that came to its end."""
        if is_failed:
            self.failed += 1
        else:
            self.done += 1
        if self._callback is None:
            return
        try:
            self._callback(self.done, self.failed, self._total)
        except Exception:
            # The results are worth more than the telling.
            self._callback = None
            logging.getLogger(__name__).exception("the progress callback failed; it is not called again")

    def close(self) -> None:
        """End the line on the terminal, if there is one."""
        if self._line is not None and self._callback is not None:
            self._line.close(self.done, self.failed, self._total)


class _Line:
    """One line on stderr that is written over."""

    def __init__(self) -> None:
        self._written_at = -math.inf

    def __call__(self, done: int, failed: int, total: int | None) -> None:
        now = time.monotonic()
        if now - self._written_at >= _LINES_EVERY_SECONDS:
            self._written_at = now
            self._write(done, failed, total, "")

    def close(self, done: int, failed: int, total: int | None) -> None:
        if self._written_at > -math.inf:
            self._write(done, failed, total, "\n")

    @staticmethod
    def _write(done: int, failed: int, total: int | None, end: str) -> None:
        of_all = "" if total is None else f" of {total}"
        sys.stderr.write(f"\r{done + failed}{of_all} items, {failed} failed{end}")
        sys.stderr.flush()
