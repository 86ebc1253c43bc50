"""The GPUs of the machine, and which worker has which.

A device is named as `CUDA_VISIBLE_DEVICES` names it: by its number or its UUID.
"""

import importlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["Devices", "find_devices"]

_NOTHING = ("", "-1", "none", "void")
_FOLDER = Path("/dev")


def find_devices(environ: Mapping[str, str], folder: Path = _FOLDER) -> tuple[str, ...]:
    """Find the GPUs that this process may use, without importing a framework.

    What `CUDA_VISIBLE_DEVICES` lists counts, as far as it says something. Else NVIDIA's management library
    is asked, if its package nvidia-ml-py is there; else the device files are counted, which the container
    toolkit only makes for those of `NVIDIA_VISIBLE_DEVICES`.

    Args:
        environ: The environment.
        folder: Where the device files are.
    """
    listed = environ.get("CUDA_VISIBLE_DEVICES")
    if listed is not None:
        names = [name.strip() for name in listed.split(",")]
        # As CUDA does: what stands behind an invalid entry does not count.
        end = next((index for index, name in enumerate(names) if name in _NOTHING), len(names))
        return tuple(names[:end])
    if environ.get("NVIDIA_VISIBLE_DEVICES") in _NOTHING:
        return ()
    count = _ask_driver()
    if count is None:
        count = sum(1 for file in folder.glob("nvidia*") if re.fullmatch(r"nvidia\d+", file.name))
    return tuple(map(str, range(count)))


def _ask_driver() -> int | None:
    """Ask how many devices the driver has; None when there is nobody to ask."""
    try:
        pynvml: Any = importlib.import_module("pynvml")  # of nvidia-ml-py, where a project installs it
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
        try:
            return int(pynvml.nvmlDeviceGetCount())
        finally:
            pynvml.nvmlShutdown()
    except pynvml.NVMLError:  # it is installed, and there is no driver
        return None


class Devices:
    """The devices of a pool: each worker takes those that the fewest others have.

    So every worker has its own as long as there are enough. Beyond that they are shared evenly. A worker
    and its successor share theirs for the moment in which both live.

    Args:
        names: All there are.
        per_worker: How many a worker gets; several workers share a device below 1.
    """

    def __init__(self, names: Sequence[str], per_worker: float) -> None:
        self._per_worker = max(1, round(per_worker))
        self._uses = Counter(dict.fromkeys(names, 0))

    def take(self, inherited: Sequence[str] = ()) -> tuple[str, ...]:
        """Take devices for a worker, in the order of their names' list; nothing when there are none.

        Args:
            inherited: Those of the worker whose place it is to take.
        """
        # Sorting keeps the order of equals.
        chosen = inherited or sorted(self._uses, key=self._uses.__getitem__)[: self._per_worker]
        self._uses.update(chosen)
        return tuple(name for name in self._uses if name in chosen)

    def give_back(self, names: Sequence[str]) -> None:
        """Give back what `take` gave."""
        self._uses.subtract(names)
