"""Whether the kernel has killed a process of this container for the memory it took.

A process that is killed for memory ends by SIGKILL, as by somebody's `kill -9`. The kernel tells the two apart by a
counter of the control group: `oom_kill` in `memory.events` (cgroup v2, admin-guide/cgroup-v2.rst) or in
`memory.oom_control` (cgroup v1, admin-guide/cgroup-v1/memory.rst). Workers live in the group of their server.
"""

import re
from pathlib import Path
from typing import Final

__all__ = ["OomKills"]


class OomKills:
    """The kills of this process's control group that nobody has asked for yet.

    Args:
        proc: The process's folder in procfs.
        cgroups: Where control groups are mounted.
    """

    def __init__(self, proc: Path = Path("/proc/self"), cgroups: Path = Path("/sys/fs/cgroup")) -> None:
        self._counter = _find_counter(proc, cgroups)
        self._taken = self._read() or 0

    def take(self) -> bool | None:
        """Whether there was one more kill since the start; one that was taken does not count again.

        Returns:
            None if the kernel does not tell.
        """
        count = self._read()
        if count is None:
            return None
        if count <= self._taken:
            return False
        self._taken += 1
        return True

    def _read(self) -> int | None:
        return None if self._counter is None else _read_count(self._counter)


_COUNT: Final = re.compile(r"^oom_kill (\d+)$", re.MULTILINE)


def _find_counter(proc: Path, cgroups: Path) -> Path | None:
    """Find the file with the counter. Within a container the path that the process has may be the host's one."""
    try:
        lines = (proc / "cgroup").read_text().splitlines()
    except OSError:
        return None
    groups = {controllers: path.lstrip("/") for _, controllers, path in (line.split(":", 2) for line in lines)}
    candidates = [
        *(cgroups / "memory" / path / "memory.oom_control" for path in _v1_paths(groups)),
        *(cgroups / path / "memory.events" for path in (groups.get("", ""), "")),
    ]
    return next((file for file in candidates if _read_count(file) is not None), None)


def _v1_paths(groups: dict[str, str]) -> list[str]:
    path = next((path for controllers, path in groups.items() if "memory" in controllers.split(",")), None)
    return [] if path is None else [path, ""]


def _read_count(file: Path) -> int | None:
    try:
        found = _COUNT.search(file.read_text())
    except OSError:
        return None
    return None if found is None else int(found[1])
