"""How many processor cores a process may use."""

import math
import os
from pathlib import Path

__all__ = ["count_cores"]

_CGROUP = Path("/sys/fs/cgroup")


def count_cores(cgroup: Path = _CGROUP) -> int:
    """Return how many cores this process may use, at least 1: those it is bound to, within a container's limit.

    Args:
        cgroup: Where the control group of the process is mounted.

    Source:
        cgroup v2's `cpu.max` ("QUOTA PERIOD" or "max PERIOD") and cgroup v1's `cpu.cfs_quota_us` and
        `cpu.cfs_period_us`, of the kernel's admin guide. Python's own count knows nothing of either.
    """
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _read_quota(cgroup)
    return available if quota is None else max(1, min(available, math.ceil(quota)))


def _read_quota(cgroup: Path) -> float | None:
    for names in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        try:
            quota, period = " ".join((cgroup / name).read_text() for name in names).split()
            if float(quota) > 0:
                return float(quota) / float(period)
        except (OSError, ValueError):  # it is not there, or it says "max"
            continue
    return None
