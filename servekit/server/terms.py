"""The terms that a request asks for: `priority`, `timeout` and `queue_timeout`, checked."""

from pydantic_core import PydanticCustomError

from servekit.runtime.terms import DEFAULT_TERMS, HIGHEST_PRIORITY, LOWEST_PRIORITY, Terms
from servekit.server.envelope import Envelope
from servekit.server.problems import Refusal
from servekit.spec.units import parse_duration

__all__ = ["make_terms"]

_MAX_SHOWN = 100


def make_terms(envelope: Envelope | None, caller: bytes | None) -> Terms:
    """Return the terms of a request.

    Args:
        envelope: What stands around its input; None for a form, which has no place for terms.
        caller: Whose request it is, if that counts.

    Raises:
        Refusal: One of them is out of its range.
    """
    if envelope is None or (envelope.priority is envelope.timeout is envelope.queue_timeout is None):
        return DEFAULT_TERMS if caller is None else Terms(caller=caller)
    return Terms(
        _check_priority(envelope.priority),
        _read_duration("timeout", envelope.timeout),
        _read_duration("queue_timeout", envelope.queue_timeout),
        caller,
    )


def _check_priority(priority: int | None) -> int:
    if priority is None:
        return 0
    if not LOWEST_PRIORITY <= priority <= HIGHEST_PRIORITY:
        message = f"expected a whole number from {LOWEST_PRIORITY} to {HIGHEST_PRIORITY}; the higher goes first"
        raise Refusal.invalid(["body", "priority"], message, str(priority)[:_MAX_SHOWN])
    return priority


def _read_duration(name: str, value: float | str | None) -> float | None:
    if value is None:
        return None
    try:
        seconds = parse_duration(value)
    except PydanticCustomError:
        seconds = 0.0
    if seconds == 0:
        message = 'expected a number of seconds or a duration, such as 2.5, "500ms", "30s" or "10m", of more than 0'
        shown = value[:_MAX_SHOWN] if isinstance(value, str) else value
        raise Refusal.invalid(["body", name], message, shown)
    return seconds
