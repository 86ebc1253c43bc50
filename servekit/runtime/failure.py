"""Exceptions of an author's code, put into words and a traceback of the author's own frames.

What an exception says of itself is the author's code as well, and may fail. Nothing here raises because of
that: who asks is about to tell somebody that it is over, and must come to do so.
"""

import asyncio
import itertools
import re
import traceback
from pathlib import Path
from typing import Final

from servekit.runtime.text import shorten

__all__ = ["author_traceback", "describe", "hint_at_package"]

_MAX_DESCRIPTION = 10_000
_MAX_TRACEBACK = 100_000
"""Characters; an exception can hold the whole input, and every answer would repeat it."""

_PACKAGE: Final = Path(__file__).parent.parent
_ON_THE_WAY: Final = (str(_PACKAGE), str(_PACKAGE.resolve()), "<frozen importlib")
"""The beginnings of file names that are not the author's. In a predictor's own environment the package is a link."""

_MISSING_MODULE: Final = re.compile(r"^ModuleNotFoundError: ", re.MULTILINE)
_PACKAGE_HINT: Final = (
    "A missing package belongs under build in the spec, such as python_packages: [NAME]; "
    "a missing module of your own beside the spec."
)


def hint_at_package(story: str) -> str | None:
    """Say where a package goes, if a failure's message or traceback tells of one that is missing."""
    return _PACKAGE_HINT if _MISSING_MODULE.search(story) else None


def describe(error: BaseException) -> str:
    """Return `Type: message` as the last line of a traceback has it."""
    try:
        text = _describe(error)
    except BaseException:  # noqa: BLE001 - see the module
        text = f"{type.__repr__(type(error))}, which fails when it is asked for its text"
    return shorten(text, _MAX_DESCRIPTION)


def author_traceback(error: BaseException) -> str:
    """Return the traceback from the first frame that is not servekit's on, causes included.

    An error that arose within servekit itself keeps all frames, so that it can be reported.
    """
    try:
        summary = traceback.TracebackException.from_exception(error)
        _drop_our_frames(summary, is_syntax_error=isinstance(error, SyntaxError))
        text = "".join(summary.format())
    except BaseException:  # noqa: BLE001 - see the module
        text = f"{describe(error)}\n(The traceback cannot be shown either.)\n"
    return shorten(text, _MAX_TRACEBACK)


def _describe(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return f"SystemExit: the model called sys.exit({'' if error.code is None else repr(error.code)})"
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error}"  # with file and line; the picture of the place is in the traceback
    if isinstance(error, asyncio.CancelledError):
        return "CancelledError: the model cancelled its own task, or stopped the loop it runs on"
    return "".join(traceback.format_exception_only(error)).strip()


def _drop_our_frames(summary: traceback.TracebackException, *, is_syntax_error: bool) -> None:
    """Drop the frames by which servekit came to the author's code, here and in what led to the exception."""
    # Not by recursion: a loop that raises from what it caught makes chains of any length.
    chain = [summary]
    while chain:
        part = chain.pop()
        frames = list(part.stack)
        foreign = list(itertools.dropwhile(lambda frame: frame.filename.startswith(_ON_THE_WAY), frames))
        # A syntax error names the author's file by itself and has no frame there.
        if foreign or (part is summary and is_syntax_error):
            part.stack = traceback.StackSummary.from_list(foreign)
        chain += [earlier for earlier in (part.__cause__, part.__context__) if earlier is not None]
