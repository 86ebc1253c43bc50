"""What a user may say about a container: its variables, its share of the machine, and files of the host."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from docker.utils import parse_bytes

from servekit.errors import UsageError

__all__ = ["Mount", "RunOptions", "read_gpus", "read_memory", "read_mount"]

_MEMORY: Final = re.compile(r"[0-9]+[bkmgt]?b?", re.IGNORECASE)
_GPUS: Final = re.compile(r"auto|all|none|[\w-]+(,[\w-]+)*")


@dataclass(frozen=True)
class Mount:
    """A file or folder of the engine's host, or a volume of the engine, at a place in the container.

    Attributes:
        source: An absolute path, or the name of a volume.
        target: An absolute path in the container.
        is_read_only: Whether the container may not write to it.
    """

    source: str
    target: str
    is_read_only: bool

    @property
    def is_volume(self) -> bool:
        """Whether it is a volume of the engine."""
        return not self.source.startswith("/")


@dataclass(frozen=True)
class RunOptions:
    """How a container is to be run.

    Attributes:
        environment: Variables, beside those that the image sets.
        gpus: `auto` (all of them, if the image asks and the engine can), `all`, `none`, or their numbers.
        memory_bytes: How much memory it may use; None for no limit.
        cpus: How many processors it may use; None for all.
        mounts: What of the host it sees.
        pull: Whether to ask the registry for the image, although one of this name may be here.
    """

    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    gpus: str = "auto"
    memory_bytes: int | None = None
    cpus: float | None = None
    mounts: tuple[Mount, ...] = ()
    pull: bool = False


def read_memory(text: str) -> int:
    """Read an amount of memory as Docker writes it, such as `512m` or `4g`.

    Raises:
        UsageError: It is none.
    """
    if not _MEMORY.fullmatch(text):
        raise UsageError(f'--memory is "{text}"; it must be a number with k, m or g behind it, as 512m.')
    return int(parse_bytes(text.lower()))


def read_gpus(text: str) -> str:
    """Check which GPUs are asked for.

    Raises:
        UsageError: It cannot be read.
    """
    if not _GPUS.fullmatch(text):
        raise UsageError(f'--gpus is "{text}"; it must be auto, all, none, or numbers of GPUs such as 0,1.')
    return text


def read_mount(text: str) -> Mount:
    """Read `SOURCE:TARGET` or `SOURCE:TARGET:ro`; a source with no slash in it is a volume.

    Raises:
        UsageError: It cannot be read.
    """
    source, _, rest = text.partition(":")
    target, _, mode = rest.partition(":")
    if not source or not target.startswith("/") or mode not in ("", "ro", "rw"):
        raise UsageError(
            f'--volume is "{text}"; it must be SOURCE:TARGET or SOURCE:TARGET:ro, with an absolute path as TARGET.'
        )
    is_path = "/" in source or source.startswith((".", "~"))
    place = str(Path(source).expanduser().absolute()) if is_path else source
    return Mount(place, target, is_read_only=mode == "ro")
