"""How much memory the processes take that this one has started."""

from collections.abc import Iterable

__all__ = ["measure_tree", "measure_trees"]


def measure_tree(pid: int) -> int:
    """Return the resident set size of a child process and all of its descendants, in bytes; see `measure_trees`."""
    return measure_trees([pid])[pid]


def measure_trees(pids: Iterable[int]) -> dict[int, int]:
    """Return the resident set size of each of several child processes, its descendants included, in bytes.

    It looks at all processes of the machine once, which takes some milliseconds: call it in a thread.
    Pages that several processes share are counted in each of them. A child that moved itself out of the
    tree, by a second fork, is not found.

    Returns:
        The sizes by `pids`; 0 for what is gone, or was never started by this process.
    """
    import psutil  # noqa: PLC0415 - it takes long to import, and nobody needs it before the workers run

    sizes = dict.fromkeys(pids, 0)
    tree_of: dict[int, int] = {}
    for member in psutil.Process().children(recursive=True):  # parents come before their children
        try:
            tree = member.pid if member.pid in sizes else tree_of.get(member.ppid())
            if tree is not None:
                tree_of[member.pid] = tree
                sizes[tree] += member.memory_info().rss
        except psutil.Error:
            continue  # it has ended meanwhile, or belongs to another user
    return sizes
