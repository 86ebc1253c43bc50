"""The variables by which Cog's servers are set up, as those of servekit that mean the same.

One that cannot be read is left alone, as Cog does, so that a deployment that runs goes on to run; but it is told.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from servekit.spec.cog.slots import MOST_SLOTS

__all__ = ["COG_VARIABLES", "CogVariable", "read_cog_variables"]

_NO_LIMIT_SECONDS: Final = 24 * 3600
"""What stands for no limit of a setup: by feel longer than any."""

_LEVELS: Final = {
    "trace": "debug",
    "debug": "debug",
    "info": "info",
    "warn": "warning",
    "warning": "warning",
    "error": "error",
    "critical": "error",
    "fatal": "error",
}


@dataclass(frozen=True)
class CogVariable:
    """A variable of Cog's.

    Attributes:
        name: What it is called.
        own: The variable of servekit that means the same, and wins.
        expected: What it may be.
        read: Gives the value of servekit's variable, or None if it cannot be read.
    """

    name: str
    own: str
    expected: str
    read: Callable[[str], str | None]


def read_cog_variables(environ: Mapping[str, str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Add to an environment what Cog's variables in it mean to servekit.

    Returns:
        The environment without its empty variables, and a warning for each of Cog's that cannot be read.
    """
    translated: dict[str, str] = {}
    warnings: list[str] = []
    for variable in COG_VARIABLES:
        if not (text := environ.get(variable.name)):
            continue
        value = variable.read(text.strip())
        if value is None:
            warnings.append(f'{variable.name} is "{text}" and is left alone; it must be {variable.expected}.')
        else:
            translated[variable.own] = value
    return {**translated, **{name: text for name, text in environ.items() if text}}, tuple(warnings)


def _read_slots(text: str) -> str | None:
    return text if re.fullmatch("[0-9]{1,9}", text) and 1 <= int(text) <= MOST_SLOTS else None


def _read_seconds(text: str) -> str | None:
    return text if re.fullmatch(r"[0-9]{1,9}(\.[0-9]+)?", text) else None


def _read_limit(text: str) -> str | None:
    seconds = _read_seconds(text)
    return str(_NO_LIMIT_SECONDS) if seconds is not None and not float(seconds) else seconds


def _read_count(text: str) -> str | None:
    return text if re.fullmatch("[0-9]{1,9}", text) else None


def _read_format(text: str) -> str:
    return "console" if text == "console" else "json"


COG_VARIABLES: Final = (
    CogVariable("COG_MAX_CONCURRENCY", "SERVEKIT_CONCURRENCY", "a whole number of at least 1", _read_slots),
    CogVariable("COG_SETUP_TIMEOUT", "SERVEKIT_SETUP_TIMEOUT", "seconds, or 0 for no limit", _read_limit),
    CogVariable(
        "COG_LOG_LEVEL",
        "SERVEKIT_LOG_LEVEL",
        "debug, info, warning or error",
        lambda text: _LEVELS.get(text.lower()),
    ),
    CogVariable("COG_STREAM_HISTORY_CAPACITY", "SERVEKIT_STREAM_HISTORY", "a whole number", _read_count),
    CogVariable("COG_THROTTLE_RESPONSE_INTERVAL", "SERVEKIT_WEBHOOK_INTERVAL", "seconds", _read_seconds),
    CogVariable("LOG_FORMAT", "SERVEKIT_LOG_FORMAT", "console, or anything else for JSON", _read_format),
)
"""The variables of Cog's that have an effect, beside PORT, which servekit reads for all projects."""
