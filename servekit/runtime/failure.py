"""Exceptions of an author's code, put into words and a traceback of the author's own frames."""

import traceback
from pathlib import Path
from types import TracebackType

__all__ = ["author_traceback", "describe"]

_OURS = str(Path(__file__).resolve().parent.parent)


def describe(error: BaseException) -> str:
    """Return `Type: message` as the last line of a traceback has it."""
    if isinstance(error, SystemExit):
        return f"SystemExit: the model called sys.exit({'' if error.code is None else repr(error.code)})"
    return "".join(traceback.format_exception_only(error)).strip()


def author_traceback(error: BaseException) -> str:
    """Return the traceback from the first frame that is not servekit's on, causes included.

    An error that arose within servekit itself keeps all frames, so that it can be reported.
    """
    summary = traceback.TracebackException(type(error), error, _first_foreign(error.__traceback__))
    return "".join(summary.format())


def _first_foreign(start: TracebackType | None) -> TracebackType | None:
    step = start
    while step is not None and step.tb_frame.f_code.co_filename.startswith((_OURS, "<frozen importlib")):
        step = step.tb_next
    return step or start
