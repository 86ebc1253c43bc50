"""Why a worker process ended, in words."""

import signal

__all__ = ["describe_exit"]

_LIKELY_CAUSES = {
    signal.SIGKILL: "most likely the kernel's out-of-memory killer, or somebody's kill -9",
    signal.SIGSEGV: "a segmentation fault in native code that the model uses",
    signal.SIGBUS: "a bus error in native code, often a full /dev/shm or a truncated memory-mapped file",
    signal.SIGABRT: "native code that the model uses gave up (abort)",
    signal.SIGFPE: "an arithmetic error in native code",
    signal.SIGILL: "a CPU instruction that this machine lacks, in native code",
    signal.SIGTERM: "somebody asked it to end",
}


def describe_exit(code: int) -> str:
    """Put the exit code of a process into words.

    Args:
        code: As `subprocess` gives it: the exit code, or minus the number of a signal.
    """
    if code >= 0:
        return (
            f"the worker process exited with code {code}; most likely the model, or a library, called os._exit({code})"
        )
    try:
        name = signal.Signals(-code)
    except ValueError:
        return f"the worker process was ended by signal {-code}"
    cause = _LIKELY_CAUSES.get(name)
    return f"the worker process was ended by {name.name}" + (f": {cause}" if cause else "")
