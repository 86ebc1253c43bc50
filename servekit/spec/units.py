"""Durations and sizes as people write them: `500ms`, `30s`, `10m`, `512MB`, `1GiB`."""

import math
import re
import sys
from collections.abc import Callable
from typing import Annotated, Final

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError, PydanticKnownError

__all__ = [
    "Duration",
    "PositiveDuration",
    "PositiveSize",
    "Size",
    "format_duration",
    "format_size",
    "parse_duration",
    "parse_size",
]

_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_BYTES: Final = {
    "B": 1,
    "KB": 1000,
    "MB": 1000**2,
    "GB": 1000**3,
    "KIB": 1024,
    "MIB": 1024**2,
    "GIB": 1024**3,
}
_DURATION: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?(ms|s|m|h)?")
_SIZE: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?((?:[KMG]i?)?B)?", re.IGNORECASE)


def parse_duration(value: object) -> float:
    """Turn `500ms`, `30s`, `10m`, `1h` or a number of seconds into seconds.

    Raises:
        PydanticCustomError: The value is neither; pydantic adds the place.
    """
    if isinstance(value, str) and (match := _DURATION.fullmatch(value.strip())):
        seconds = float(match[1]) * _SECONDS[match[2] or "s"]
        if math.isfinite(seconds):  # digits may go on and on
            return seconds
    elif isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= sys.float_info.max:
        return float(value)
    raise PydanticCustomError(
        "servekit_unit",
        "{expected}",
        {
            "expected": "a duration is a number with ms, s, m or h behind it, or a number of seconds",
            "remedy": 'Write it as "500ms", "30s", "10m" or "1h".',
        },
    )


def parse_size(value: object) -> int:
    """Turn `512MB`, `1GiB` or a number of bytes into bytes.

    KB, MB and GB are powers of 1000, KiB, MiB and GiB powers of 1024.

    Raises:
        PydanticCustomError: The value is neither; pydantic adds the place.
    """
    if isinstance(value, str) and (match := _SIZE.fullmatch(value.strip())):
        return int(float(match[1]) * _BYTES[(match[2] or "B").upper()])
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise PydanticCustomError(
        "servekit_unit",
        "{expected}",
        {
            "expected": "a size is a number with KB, MB, GB, KiB, MiB or GiB behind it, or a number of bytes",
            "remedy": 'Write it as "512MB" or "1GiB".',
        },
    )


def format_duration(seconds: float) -> str:
    """Write seconds in the largest unit that keeps them a whole number, as `parse_duration` reads them."""
    for unit, factor in (("h", 3600), ("m", 60), ("s", 1)):
        if seconds >= factor and seconds % factor == 0:
            return f"{int(seconds // factor)}{unit}"
    number, unit = (seconds, "s") if seconds >= 1 or seconds == 0 else (seconds * 1000, "ms")
    return f"{number:.6f}".rstrip("0").rstrip(".") + unit


def format_size(size: int) -> str:
    """Write bytes in the largest unit that keeps them a whole number, as `parse_size` reads them."""
    for unit in ("GiB", "GB", "MiB", "MB", "KiB", "KB"):
        factor = _BYTES[unit.upper()]
        if size >= factor and size % factor == 0:
            return f"{size // factor}{unit}"
    return f"{size}B"


def _serialize_duration(seconds: float | None) -> str | None:
    return None if seconds is None else format_duration(seconds)


def _serialize_size(size: int | None) -> str | None:
    return None if size is None else format_size(size)


def _more_than_nothing(parse: Callable[[object], float]) -> Callable[[object], float]:
    # Not `Field(gt=0)`: that would show the value that was read, and not the one that was written.
    def parse_positive(value: object) -> float:
        parsed = parse(value)
        if parsed == 0:
            raise PydanticKnownError("greater_than", {"gt": 0})
        return parsed

    return parse_positive


def _describe(number: str, units: str, *, is_positive: bool) -> WithJsonSchema:
    """Describe a number with or without a unit to editors; pydantic knows nothing of the texts."""
    least = {"exclusiveMinimum": 0} if is_positive else {"minimum": 0}
    some_digit = "(?=.*[1-9])" if is_positive else ""
    text = {"type": "string", "pattern": rf"^{some_digit}\d+(\.\d+)? ?{units}$"}
    return WithJsonSchema({"anyOf": [{"type": number, **least}, text]})


_DURATION_UNITS: Final = "(ms|s|m|h)?"
_SIZE_UNITS: Final = "([KkMmGg][Ii]?)?[Bb]?"

Duration = Annotated[
    float,
    BeforeValidator(parse_duration),
    PlainSerializer(_serialize_duration, when_used="json"),
    _describe("number", _DURATION_UNITS, is_positive=False),
]
PositiveDuration = Annotated[
    float,
    BeforeValidator(_more_than_nothing(parse_duration)),
    PlainSerializer(_serialize_duration, when_used="json"),
    _describe("number", _DURATION_UNITS, is_positive=True),
]
Size = Annotated[
    int,
    BeforeValidator(parse_size),
    PlainSerializer(_serialize_size, when_used="json"),
    _describe("integer", _SIZE_UNITS, is_positive=False),
]
PositiveSize = Annotated[
    int,
    BeforeValidator(_more_than_nothing(parse_size)),
    PlainSerializer(_serialize_size, when_used="json"),
    _describe("integer", _SIZE_UNITS, is_positive=True),
]
