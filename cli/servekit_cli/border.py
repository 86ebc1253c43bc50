"""Where the errors of every command become messages and exit codes: here, and nowhere else."""

import errno
import functools
import io
import os
import sys
import traceback
from collections.abc import Callable
from typing import Final

import typer

from servekit.errors import ServekitError
from servekit_cli.terminal import paint, say

__all__ = ["EXIT_CODES", "INTERRUPTED", "SOME_FAILED", "guard", "guard_stdout"]

_NOT_WRITTEN: Final = 1
_NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What a file system says that can be written to, but for its size. An error without the name of a file
is from stdout: that has been opened by somebody else."""
SOME_FAILED: Final = 15
_BUG: Final = 70
INTERRUPTED: Final = 130
_PIPE_CLOSED: Final = 141

# The errors' own codes are on their classes; a test keeps this list complete.
EXIT_CODES: Final = {
    0: "done",
    1: "the prediction or every row of a batch failed, doctor found a problem, the output could not be written, "
    "or a second signal cut the end of serve short",
    2: "bad use or bad input",
    3: "bad spec",
    4: "no usable predictor",
    5: "setup failed",
    6: "no environment",
    7: "busy",
    8: "the worker died during the prediction",
    9: "the address cannot be listened on",
    10: "no engine to build or run images",
    11: "the image could not be built",
    12: "no such image, or it could not be pushed or pulled",
    13: "the container did not start or ended early",
    14: "weights are missing or wrong",
    SOME_FAILED: "some rows of a batch failed, or were not run, and others succeeded",
    16: "the server that rows are sent to cannot be reached",
    _BUG: "a fault of servekit itself",
    129: "its terminal went away",
    INTERRUPTED: "interrupted",
    _PIPE_CLOSED: "the reader of the output went away",
    143: "terminated",
}


def guard(command: Callable[..., int | None], *, is_debug: bool) -> Callable[..., None]:
    """Make a command end with an exit code whatever happens in it.

    Args:
        command: Returns its exit code, or None for 0.
        is_debug: Whether errors show where in servekit they come from.
    """

    @functools.wraps(command)
    def guarded(*args: object, **kwargs: object) -> None:
        raise typer.Exit(_run(lambda: command(*args, **kwargs), is_debug=is_debug))

    return guarded


def guard_stdout(print_something: Callable[[], None]) -> None:
    """Run what writes to stdout outside of a command, such as its help, and exit if that cannot be written."""
    try:
        print_something()
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        sys.exit(_end_without_room(error))


def _run(command: Callable[[], int | None], *, is_debug: bool) -> int:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that cannot show a character gets its number, and no error for a good prediction.
            stream.reconfigure(errors="backslashreplace")
    try:
        code = command() or 0
        sys.stdout.flush()
    except ServekitError as error:
        if is_debug:
            traceback.print_exc()
        say(f"{paint('Error:', 'red')} {error}")
        return error.exit_code
    except KeyboardInterrupt:
        say("Interrupted.")
        return INTERRUPTED
    except BrokenPipeError:
        _silence_stdout()
        return _PIPE_CLOSED
    except Exception as error:  # noqa: BLE001 - the border: whatever it is, it ends as a message and a code
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            return _end_without_room(error)
        if is_debug:
            traceback.print_exc()
        say(f"{paint('Error:', 'red')} servekit itself failed: {type(error).__name__}: {error}")
        say("Run `servekit --debug ...` to see where, and please report it.")
        return _BUG
    return code


def _end_without_room(error: OSError) -> int:
    _silence_stdout()
    say(f"{paint('Error:', 'red')} {error.filename or 'stdout'} cannot be written to: {error.strerror}.")
    return _NOT_WRITTEN


def _silence_stdout() -> None:
    """What is still in the buffer has nowhere to go, and the interpreter must not try again at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
