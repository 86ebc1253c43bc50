"""Exceptions of an author's code, put into words and a traceback of the author's own frames."""

import asyncio
import traceback
from pathlib import Path
from types import TracebackType

from servekit.runtime.text import shorten

__all__ = ["author_traceback", "describe"]

_MAX_DESCRIPTION = 10_000
_MAX_TRACEBACK = 100_000
"""Characters; an exception can hold the whole input, and every answer would repeat it."""

_OURS = str(Path(__file__).resolve().parent.parent)


def describe(error: BaseException) -> str:
    """Return `Type: message` as the last line of a traceback has it."""
    if isinstance(error, SystemExit):
        text = f"SystemExit: the model called sys.exit({'' if error.code is None else repr(error.code)})"
    elif isinstance(error, asyncio.CancelledError):
        text = "CancelledError: the model cancelled its own task, or stopped the loop it runs on"
    else:
        text = "".join(traceback.format_exception_only(error)).strip()
    return shorten(text, _MAX_DESCRIPTION)


def author_traceback(error: BaseException) -> str:
    """Return the traceback from the first frame that is not servekit's on, causes included.

    An error that arose within servekit itself keeps all frames, so that it can be reported.
    """
    summary = traceback.TracebackException(type(error), error, _first_foreign(error.__traceback__))
    return shorten("".join(summary.format()), _MAX_TRACEBACK)


def _first_foreign(start: TracebackType | None) -> TracebackType | None:
    step = start
    while step is not None and step.tb_frame.f_code.co_filename.startswith((_OURS, "<frozen importlib")):
        step = step.tb_next
    return step or start
