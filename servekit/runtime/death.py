"""Why a worker ended: as one of a few causes that can be counted, and in words."""

import signal
from enum import StrEnum

__all__ = ["LOST_CONNECTION", "DeathCause", "describe_exit", "find_cause"]

LOST_CONNECTION = 76
"""The exit code of a worker that ended by itself since its connection to the server was gone (EX_PROTOCOL)."""


class DeathCause(StrEnum):
    """Why a worker ended. The values are labels of a metric: documented, few, and never to be renamed.

    Attributes:
        EXIT: Its process exited by itself, or its thread ended.
        SIGABRT: It was ended by this signal, as by the ones below.
        SIGNAL: It was ended by a signal without a name of its own here.
        SETUP_FAILED: The predictor could not be imported, or its setup raised.
        SETUP_TIMEOUT: Import and setup took longer than `serve.setup_timeout`.
        OOM: The kernel killed it for the memory it took; SIGKILL if that cannot be known.
        DISCONNECTED: Its socket closed while its process lived on.
        HANG: It did not answer, and was replaced.
        STUCK: A prediction on it did not stop when asked, and it was replaced.
        RECYCLED: It had done or grown enough, and was replaced.
        RELOADED: New code was loaded into new workers.
        SCALED_DOWN: There was nothing to do for it.
        SHUTDOWN: The server went.
    """

    EXIT = "exit"
    SIGABRT = "sigabrt"
    SIGBUS = "sigbus"
    SIGFPE = "sigfpe"
    SIGILL = "sigill"
    SIGKILL = "sigkill"
    SIGSEGV = "sigsegv"
    SIGTERM = "sigterm"
    SIGNAL = "signal"
    SETUP_FAILED = "setup_failed"
    SETUP_TIMEOUT = "setup_timeout"
    OOM = "oom"
    DISCONNECTED = "disconnected"
    HANG = "hang"
    STUCK = "stuck"
    RECYCLED = "recycled"
    RELOADED = "reloaded"
    SCALED_DOWN = "scaled_down"
    SHUTDOWN = "shutdown"


def find_cause(code: int, *, is_oom: bool | None = None) -> DeathCause:
    """Tell what ended a process; the arguments are those of `describe_exit`."""
    if is_oom and code == -signal.SIGKILL:
        return DeathCause.OOM
    if code >= 0:
        return DeathCause.EXIT
    try:
        return DeathCause(signal.Signals(-code).name.lower())
    except ValueError:  # a signal without a name, or one that is not told apart
        return DeathCause.SIGNAL


_LIKELY_CAUSES = {
    signal.SIGSEGV: "a segmentation fault in native code that the model uses",
    signal.SIGBUS: "a bus error in native code, often a full /dev/shm or a truncated memory-mapped file",
    signal.SIGABRT: "native code that the model uses gave up (abort)",
    signal.SIGFPE: "an arithmetic error in native code",
    signal.SIGILL: "a CPU instruction that this machine lacks, in native code",
    signal.SIGTERM: "somebody asked it to end",
}


_KILL_CAUSES = {
    True: "the kernel's out-of-memory killer ended it. Give the container more memory, or let the model take less: "
    "fewer workers (serve.workers), or fewer predictions at once (serve.concurrency)",
    False: "somebody's kill -9; the kernel's out-of-memory killer has not struck here",
    None: "most likely the kernel's out-of-memory killer, or somebody's kill -9",
}


def describe_exit(code: int, *, is_oom: bool | None = None) -> str:
    """Put the exit code of a process into words.

    Args:
        code: As `subprocess` gives it: the exit code, or minus the number of a signal.
        is_oom: Whether the kernel has killed a process for memory; None if that cannot be known.
    """
    if code >= 0:
        return (
            f"the worker process exited with code {code}; most likely the model, or a library, called os._exit({code})"
        )
    try:
        name = signal.Signals(-code)
    except ValueError:
        return f"the worker process was ended by signal {-code}"
    cause = _KILL_CAUSES[is_oom] if name is signal.SIGKILL else _LIKELY_CAUSES.get(name)
    return f"the worker process was ended by {name.name}" + (f": {cause}" if cause else "")
