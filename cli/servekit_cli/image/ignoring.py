"""What the lines of a `.dockerignore` leave out, as Docker reads them."""

import re
from collections.abc import Iterable

__all__ = ["IgnoreRules", "Verdict", "read_lines"]

Verdict = tuple[bool, ...]
"""Which of the rules match a path, or a folder above it."""


class IgnoreRules:
    """Lines, of which the last one that matches decides.

    A line that matches a folder matches all that is in it. (The matcher in Docker's SDK does not follow that
    below the depth of the line itself, so only the translation of lines is taken from there.)
    """

    def __init__(self, lines: Iterable[str]) -> None:
        # A quarter of a second, for those who need it.
        from docker.utils.build import Pattern  # noqa: PLC0415
        from docker.utils.fnmatch import translate  # noqa: PLC0415

        patterns = [pattern for line in lines if (pattern := Pattern(line)).dirs]
        self._matchers = [re.compile(translate(pattern.cleaned_pattern)).match for pattern in patterns]
        self._takes_back = [bool(pattern.exclusion) for pattern in patterns]
        self._taken_back = [str(pattern.cleaned_pattern) for pattern in patterns if pattern.exclusion]
        self.root: Verdict = (False,) * len(patterns)

    def judge(self, path: str, folder: Verdict) -> Verdict:
        """Find out which rules match a path.

        Args:
            path: Relative to the project, with slashes.
            folder: The verdict on the folder that it is in.
        """
        return tuple(above or match(path) is not None for above, match in zip(folder, self._matchers, strict=True))

    def ignores(self, verdict: Verdict) -> bool:
        """Whether a path is left out."""
        decisive = [takes_back for takes_back, matches in zip(self._takes_back, verdict, strict=True) if matches]
        return bool(decisive) and not decisive[-1]

    def takes_back(self, verdict: Verdict) -> bool:
        """Whether a `!` line matches a path."""
        return any(takes_back and matches for takes_back, matches in zip(self._takes_back, verdict, strict=True))

    def may_take_back_below(self, folder: str) -> bool:
        """Whether a `!` line names something in a folder, literally, as Docker has it."""
        return any(pattern.startswith(f"{folder}/") for pattern in self._taken_back)


def read_lines(text: str) -> list[str]:
    """Read the lines that mean something."""
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]
