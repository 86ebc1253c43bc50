"""What to do about a step that failed, told from what it printed."""

import re
from collections.abc import Sequence
from typing import Final

__all__ = ["find_remedy"]


def find_remedy(lines: Sequence[str], error: str) -> str | None:
    """Find the likely remedy for a failed step; None if nothing is known about its kind of failure.

    Args:
        lines: The end of its output.
        error: The builder's own words.
    """
    text = " ".join(" ".join([*lines, error]).split())
    for pattern, remedy in _REMEDIES:
        if found := pattern.search(text):
            return remedy.format(*found.groups())
    return None


_REMEDIES: Final[tuple[tuple[re.Pattern[str], str], ...]] = ()
