"""Sizes for people."""

from typing import Final

__all__ = ["describe_size"]

_STEP: Final = 1000
_UNITS: Final = ("bytes", "kB", "MB", "GB", "TB")


def describe_size(size: float) -> str:
    """Write a number of bytes with the unit that keeps it short, to three digits: `1.23 GB`, `45.6 MB`."""
    for unit in _UNITS[:-1]:
        if size < _STEP:
            return f"{size:.3g} {unit}"
        size /= _STEP
    return f"{size:.3g} {_UNITS[-1]}"
