"""The rules for names of metrics, which a predictor finds out by the error it gets."""

import string
from typing import Final

__all__ = ["check_metric_name", "check_metric_path"]

_MAX_LENGTH: Final = 128
_MAX_SEGMENTS: Final = 4
_LETTERS: Final = frozenset(string.ascii_letters)
_LETTERS_AND_DIGITS: Final = frozenset(string.ascii_letters + string.digits)


def check_metric_name(name: str) -> None:
    """Refuse a name under which nothing can be recorded.

    Raises:
        ValueError: It is reserved, or not well formed.
    """
    if name == "predict_time":
        message = "'predict_time' is reserved by the runtime"
        raise ValueError(message)
    if name.startswith("cog."):
        message = "the 'cog.' prefix is reserved for system metrics"
        raise ValueError(message)
    check_metric_path(name)


def check_metric_path(name: str) -> None:
    """Refuse a name that is not well formed: up to four words with dots between, which lead into objects.

    Raises:
        ValueError: It is not.
    """
    segments = name.split(".")
    fault: str | None = None
    if not name:
        fault = "must not be empty"
    elif len(name) > _MAX_LENGTH:
        fault = f"must be {_MAX_LENGTH} characters or fewer (got {len(name)} characters)"
    elif len(segments) > _MAX_SEGMENTS:
        fault = f"must have at most {_MAX_SEGMENTS} dot-separated segments (got {len(segments)})"
    elif not segments[0]:
        fault = "must not start with a dot"
    elif not segments[-1]:
        fault = "must not end with a dot"
    elif not all(segments):
        fault = "must not contain empty segments (consecutive dots)"
    if fault is not None:
        message = f"metric name {fault}"
        raise ValueError(message)
    for segment in segments:
        _check_segment(segment)


def _check_segment(segment: str) -> None:
    wrong = next((each for each in segment if each != "_" and each not in _LETTERS_AND_DIGITS), None)
    fault: str | None = None
    if segment[0] not in _LETTERS:
        fault = "must start with a letter"
    elif wrong is not None:
        fault = f"contains invalid character '{wrong}'"
    elif "__" in segment:
        fault = "must not contain consecutive underscores"
    elif segment.endswith("_"):
        fault = "must end with a letter or digit"
    if fault is not None:
        message = f"metric name segment '{segment}' {fault}"
        raise ValueError(message)
