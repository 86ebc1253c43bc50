"""Whether a worker answers: what is known of it at the server, and how a worker asks its own threads.

The server's watchdog sends `Ping` and the worker's loop answers `Pong`. With that answer the loop tells
how its predict threads do, which it asks by a job; so the loop watches the threads, and the server the loop.
"""

import time
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Literal

from servekit.runtime.protocol import Ping, Pong

__all__ = ["Hang", "Pulse", "ThreadProbe"]


@dataclass
class Hang:
    """A time in which a worker does not answer.

    Attributes:
        where: Its event loop, or the threads in which a sync predictor runs while slots are free.
        since: When it was asked what it does not answer, in seconds since the epoch.
        began_tick: The same by the monotonic clock.
        stack: What its threads are in, as far as that could be found out.
        is_reported: The log has it.
        is_final: The worker is being killed for it.
    """

    where: Literal["loop", "threads"]
    since: float
    began_tick: float
    stack: str = ""
    is_reported: bool = False
    is_final: bool = False

    @property
    def seconds(self) -> float:
        """How long it has lasted."""
        return time.monotonic() - self.began_tick

    def describe(self) -> str:
        """Say what does not answer, to be read after the worker's name."""
        is_loop = self.where == "loop"
        what = "its event loop has not answered" if is_loop else "its predict threads have taken no work"
        return f"{what} for {self.seconds:.0f} s"


class Pulse:
    """A worker's answers, as the server has them; asked and judged by the watchdog.

    There is never more than one question under way: a worker that does not read must not be sent more and more.

    Attributes:
        hang: The one that lasts, if one does.
    """

    __slots__ = ("_is_awaited", "_number", "_threads_seconds", "_turns", "hang")

    def __init__(self) -> None:
        self.hang: Hang | None = None
        self._number = 0
        self._is_awaited = False
        self._turns = 0
        self._threads_seconds = 0.0

    @property
    def is_given_up(self) -> bool:
        """Whether the worker is killed for not answering."""
        return self.hang is not None and self.hang.is_final

    def next_question(self) -> Ping | None:
        """Return what to ask, once in each of the watchdog's turns; None while an answer is owed."""
        if self._is_awaited:
            self._turns += 1
            return None
        self._is_awaited = True
        self._turns = 0
        self._number += 1
        return Ping(self._number)

    def take(self, answer: Pong) -> None:
        """Take the worker's answer."""
        if answer.number == self._number:
            self._is_awaited = False
            self._turns = 0
            self._threads_seconds = answer.threads_seconds

    def silence(self, turn_seconds: float) -> tuple[float, Literal["loop", "threads"]]:
        """Return for how many seconds what has not answered.

        The loop's silence is counted in the watchdog's turns and not by a clock. Should the server itself be held up,
        or the machine asleep, answers wait unread for that long, and nobody is to blame.
        """
        loop_seconds = self._turns * turn_seconds
        if loop_seconds >= self._threads_seconds:
            return loop_seconds, "loop"
        return self._threads_seconds, "threads"


class ThreadProbe:
    """Asks a worker's predict threads whether they take work. Lives on the worker's loop."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._asked_at: float | None = None

    def ask(self, *, has_free_thread: bool) -> float:
        """Give the threads a job that does nothing, unless one waits already.

        Args:
            has_free_thread: A thread should be there for it. Else it would wait for a prediction to end.

        Returns:
            For how many seconds the one before has been waiting; 0 if it was done.
        """
        asked_at = self._asked_at
        if asked_at is not None:
            return time.monotonic() - asked_at
        if has_free_thread:
            self._asked_at = time.monotonic()
            self._executor.submit(self._answer)
        return 0.0

    def _answer(self) -> None:
        self._asked_at = None
