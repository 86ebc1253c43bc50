"""The standard streams of a process whose parent closed some of them."""

import os
import sys
from typing import Final

__all__ = ["open_standard_streams"]

_DESCRIPTORS: Final = (0, 1, 2)


def open_standard_streams() -> None:
    """Open those of stdin, stdout and stderr that are closed, on nothing.

    Python has None for such a stream, at which every read and print fails; and the next file that is opened takes
    its number, so that what is printed lands in it.
    """
    for descriptor in _DESCRIPTORS:
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
    sys.stdin = sys.stdin or open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - there until the end
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - likewise
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - likewise
