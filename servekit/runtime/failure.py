"""Exceptions of an author's code, put into words and a traceback of the author's own frames."""

import asyncio
import itertools
import traceback
from pathlib import Path

from servekit.runtime.text import shorten

__all__ = ["author_traceback", "describe"]

_MAX_DESCRIPTION = 10_000
_MAX_TRACEBACK = 100_000
"""Characters; an exception can hold the whole input, and every answer would repeat it."""

_ON_THE_WAY = (str(Path(__file__).resolve().parent.parent), "<frozen importlib")


def describe(error: BaseException) -> str:
    """Return `Type: message` as the last line of a traceback has it."""
    if isinstance(error, SystemExit):
        text = f"SystemExit: the model called sys.exit({'' if error.code is None else repr(error.code)})"
    elif isinstance(error, SyntaxError):
        text = f"{type(error).__name__}: {error}"  # with file and line; the picture of the place is in the traceback
    elif isinstance(error, asyncio.CancelledError):
        text = "CancelledError: the model cancelled its own task, or stopped the loop it runs on"
    else:
        text = "".join(traceback.format_exception_only(error)).strip()
    return shorten(text, _MAX_DESCRIPTION)


def author_traceback(error: BaseException) -> str:
    """Return the traceback from the first frame that is not servekit's on, causes included.

    An error that arose within servekit itself keeps all frames, so that it can be reported.
    """
    summary = _without_our_frames(traceback.TracebackException.from_exception(error))
    return shorten("".join(summary.format()), _MAX_TRACEBACK)


def _without_our_frames(summary: traceback.TracebackException) -> traceback.TracebackException:
    """Drop the frames by which servekit came to the author's code, here and in what led to the exception."""
    frames = list(summary.stack)
    foreign = list(itertools.dropwhile(lambda frame: frame.filename.startswith(_ON_THE_WAY), frames))
    # A syntax error names the author's file by itself and has no frame there.
    if foreign or issubclass(summary.exc_type, SyntaxError):
        summary.stack = traceback.StackSummary.from_list(foreign)
    for earlier in (summary.__cause__, summary.__context__):
        if earlier is not None:
            _without_our_frames(earlier)
    return summary
