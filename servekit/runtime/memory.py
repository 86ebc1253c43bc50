"""How much memory processes take."""

from collections.abc import Generator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

__all__ = ["measure_tree"]


def measure_tree(pid: int) -> int:
    """Return the resident set size of a process and all of its descendants, in bytes; 0 when it is gone.

    Pages that several of them share are counted in each, so that the sum may be more than what they take
    together. It reads the table of all processes, which takes some milliseconds: call it in a thread.
    """
    import psutil  # noqa: PLC0415 - takes 10 ms to import, and is first needed when the server runs

    try:
        root = psutil.Process(pid)
        members = [root, *root.children(recursive=True)]
    except psutil.Error:
        return 0
    return sum(_measure(members))


def _measure(members: "list[psutil.Process]") -> Generator[int]:
    import psutil  # noqa: PLC0415 - see above

    for member in members:
        try:
            yield member.memory_info().rss
        except psutil.Error:
            continue  # it has ended meanwhile, or belongs to another user
