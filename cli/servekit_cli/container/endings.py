"""How a container ended, and what that means."""

import signal
from dataclasses import dataclass

__all__ = ["End", "explain_end", "explain_memory"]

_BY_SIGNAL = 128


@dataclass(frozen=True)
class End:
    """How a container ended.

    Attributes:
        exit_code: Of its first process.
        ran_out_of_memory: Whether something in it was killed for memory.
    """

    exit_code: int
    ran_out_of_memory: bool


def explain_end(end: End, memory_bytes: int | None) -> str:
    """Say why a container is no more, as the end of a sentence that begins with its name.

    Args:
        end: How it ended.
        memory_bytes: How much memory it was allowed to use.
    """
    if end.ran_out_of_memory:
        return f"ran out of memory and was killed ({_code(end)}); {explain_memory(memory_bytes)}"
    if end.exit_code == _BY_SIGNAL + signal.SIGKILL:
        # Podman does not tell why.
        memory = "a host that is short of memory" if memory_bytes is None else f"its limit of {_show(memory_bytes)}"
        return f"was killed ({_code(end)}): by somebody, or by {memory}"
    if end.exit_code > _BY_SIGNAL:
        return f"was ended by a signal ({_code(end)})"
    return f"ended with {_code(end)}"


def explain_memory(memory_bytes: int | None) -> str:
    """Say what a container that ran out of memory could use, and what to do."""
    if memory_bytes is None:
        return "it had no limit of its own, so the host of the engine is too small for it"
    return f"it may use {_show(memory_bytes)}: give it more with --memory"


def _show(memory_bytes: int) -> str:
    return f"{memory_bytes / 1024**2:.0f} MiB"


def _code(end: End) -> str:
    number = end.exit_code - _BY_SIGNAL
    name = f", {signal.Signals(number).name}" if number in set(signal.Signals) else ""
    return f"exit code {end.exit_code}{name}"
