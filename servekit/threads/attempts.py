"""One call of the function for one item.

An attempt is made and judged by the code that coordinates the call of `parallel`, in one thread or task. It begins and
ends wherever it runs, and says so by putting itself into the coordinator's news.
"""

import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from contextvars import Context
from typing import Any

from servekit.threads.context import call_guarded

__all__ = ["Attempt"]


class Attempt:
    """A call of `fn(item)` in a Context of its own.

    Attributes:
        index: The item's place in the input.
        began_at: When it began, as `time.monotonic()` gives it, or None.
        is_dropped: Set by the coordinator: it must not begin any more.
        is_ended: Whether `result` and `error` are what they will be.
    """

    __slots__ = (
        "_call",
        "_tell",
        "began_at",
        "context",
        "error",
        "handle",
        "index",
        "is_dropped",
        "is_ended",
        "result",
    )

    def __init__(
        self, index: int, call: Callable[[], Any], context: Context, tell: Callable[["Attempt"], None]
    ) -> None:
        self.index = index
        self.context = context
        self.began_at: float | None = None
        self.is_dropped = False
        self.is_ended = False
        self.result: Any = None
        self.error: BaseException | None = None
        self.handle: Any = None
        """What its starter stops it by."""
        self._call = call
        self._tell = tell

    def run(self) -> None:
        """Make the call, in a thread."""
        if self.is_dropped:
            self._end(None, CancelledError())
            return
        self._begin()
        try:
            result = call_guarded(self._call)
        except BaseException as error:  # noqa: BLE001 - the border to the author's function; the coordinator judges it
            self._end(None, error)
        else:
            self._end(result, None)

    async def run_async(self) -> None:
        """Make the call, in a task."""
        if self.is_dropped:
            self._end(None, CancelledError())
            return
        self._begin()
        try:
            result = await self._call()
        except BaseException as error:  # noqa: BLE001 - as above; what is no Exception would stop the loop besides
            self._end(None, error)
        else:
            self._end(result, None)

    def end_unrun(self, _: Any = None) -> None:
        """Bring the end of an attempt that was cancelled before it could begin; for others do nothing."""
        if self.began_at is None and not self.is_ended:
            self._end(None, CancelledError())

    def _begin(self) -> None:
        self.began_at = time.monotonic()
        self._tell(self)

    def _end(self, result: Any, error: BaseException | None) -> None:
        self.result, self.error = result, error
        self.is_ended = True
        self._tell(self)
