"""The first moments of a server, in which there is nothing to stop yet. Imports nothing that takes time."""

import os
import signal

__all__ = ["exit_on_sigterm"]


def exit_on_sigterm() -> None:
    """Have SIGTERM end this process with code 0, as it will once the server runs, until that takes it over.

    To be called before what takes long to import. It ends at once and not by an exception: one that strikes
    while a module is imported may be lost in the import system's own callbacks.
    """
    signal.signal(signal.SIGTERM, _exit)


def _exit(_number: int, _frame: object) -> None:
    os._exit(0)
