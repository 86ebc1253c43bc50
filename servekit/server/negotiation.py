"""What a client wants beside the result: not to wait for it, or to see it grow.

`Prefer` after RFC 7240, `Accept` after RFC 9110, both of them forgiving: a preference that cannot be
read is no preference.
"""

import re
from dataclasses import dataclass

__all__ = ["NO_PREFERENCE", "Preference", "parse_prefer", "parse_range", "prefers", "wants_events"]


@dataclass(frozen=True)
class Preference:
    """What `Prefer` asks for.

    Attributes:
        responds_async: The client does not wait; it polls, and may go.
        wait_seconds: How long it waits before it prefers an unfinished prediction; None for no limit.
    """

    responds_async: bool = False
    wait_seconds: float | None = None

    @property
    def applied(self) -> bytes:
        """The value of `Preference-Applied`, empty for none."""
        words: list[str] = []
        if self.responds_async:
            words.append("respond-async")
        if self.wait_seconds is not None:
            words.append(f"wait={self.wait_seconds:g}")
        return ", ".join(words).encode()

    @property
    def patience_seconds(self) -> float | None:
        """How long to wait for the end before answering: None for as long as it takes."""
        if self.wait_seconds is None and self.responds_async:
            return 0.0
        return self.wait_seconds


NO_PREFERENCE = Preference()

_MAX_WAIT_SECONDS = 86_400.0
_SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?")
"""RFC 7240 has whole seconds only; part of one is understood as well, since many predictions take less."""


def parse_prefer(value: str) -> Preference:
    """Read the `Prefer` header.

    Of a preference that is given twice the first counts, as RFC 7240 has it.
    """
    responds_async = False
    wait: float | None = None
    for part in value.split(","):
        name, _, argument = part.partition(";")[0].partition("=")
        match name.strip().lower():
            case "respond-async":
                responds_async = True
            case "wait" if wait is None:
                wait = _parse_seconds(argument)
            case _:
                pass
    return Preference(responds_async, wait)


def wants_events(accept: str) -> bool:
    """Whether `Accept` prefers an event stream to JSON."""
    return prefers(accept, "text/event-stream", over="application/json")


def prefers(accept: str, kind: str, *, over: str) -> bool:
    """Whether `Accept` prefers a kind of answer to the usual one.

    It does when it names the kind, with a quality above that of the usual one; of two with the same
    quality the one that is named first counts. Wildcards ask for the usual one.

    Args:
        accept: The header's value.
        kind: The media type in question.
        over: The media type of the usual answer.
    """
    wanted: float | None = None
    usual: float | None = None
    is_first = False
    for part in accept.split(","):
        named, quality = parse_range(part)
        if named == kind and wanted is None:
            wanted, is_first = quality, usual is None
        elif named == over and usual is None:
            usual = quality
    if not wanted:
        return False
    return usual is None or wanted > usual or (wanted == usual and is_first)


def parse_range(part: str) -> tuple[str, float]:
    """Return the media type that a part of `Accept` names, and its quality."""
    kind, *parameters = part.split(";")
    quality = 1.0
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            try:
                quality = float(value)
            except ValueError:
                quality = 0.0
    return kind.strip().lower(), quality


def _parse_seconds(text: str) -> float | None:
    number = text.strip().strip('"')
    if _SECONDS.fullmatch(number) is None:
        return None
    return min(float(number), _MAX_WAIT_SECONDS)
