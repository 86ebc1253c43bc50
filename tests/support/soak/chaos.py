"""Kills workers at random."""

import asyncio
import contextlib
import signal
from collections import Counter
from random import Random

import psutil

__all__ = ["Chaos", "list_workers"]

_SIGNALS = {signal.SIGKILL: 6, signal.SIGSEGV: 1, signal.SIGABRT: 1, signal.SIGTERM: 1, signal.SIGSTOP: 1}


class Chaos:
    """Sends a signal to one of a server's workers every `period_seconds`.

    Args:
        server: The server's process.
        dice: Decides on worker and signal.
        period_seconds: How often.

    Attributes:
        sent: How often each signal was sent.
    """

    def __init__(self, server: psutil.Process, dice: Random, period_seconds: float) -> None:
        self._server = server
        self._dice = dice
        self._period = period_seconds
        self.sent: Counter[str] = Counter()

    async def run(self) -> None:
        """Go on until cancelled."""
        while True:
            await asyncio.sleep(self._period)
            workers = list_workers(self._server)
            if workers:
                (number,) = self._dice.choices(list(_SIGNALS), list(_SIGNALS.values()))
                with contextlib.suppress(psutil.NoSuchProcess):
                    self._dice.choice(workers).send_signal(number)
                    self.sent[number.name] += 1


def list_workers(server: psutil.Process) -> list[psutil.Process]:
    """Return the worker processes of a server, oldest first."""
    found: list[psutil.Process] = []
    for child in server.children():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            if "servekit.runtime.child" in child.cmdline():
                found.append(child)
    return sorted(found, key=lambda process: process.pid)
