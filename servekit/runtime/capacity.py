"""How many workers a pool may have on this machine, and what each gets of it."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from servekit.errors import SpecError
from servekit.runtime.devices import find_devices
from servekit.runtime.processors import count_cores
from servekit.spec import Spec

__all__ = ["Capacity", "plan_capacity"]


@dataclass(frozen=True)
class Capacity:
    """What the spec says of workers, on this machine.

    Attributes:
        least: How many workers there are at least; with 0 the first prediction starts one.
        most: How many there are at most.
        devices: The GPUs to place workers on; empty when workers see whatever the server sees.
        gpus_per_worker: How many of them each worker gets; below 1 workers share one.
        threads: How many threads a numeric library should use in each worker; None to leave that to the library.
    """

    least: int
    most: int
    devices: tuple[str, ...] = ()
    gpus_per_worker: float = 1.0
    threads: int | None = None


def plan_capacity(
    spec: Spec,
    *,
    devices: Sequence[str] | None = None,
    cores: int | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Capacity:
    """Work out how many workers a spec asks for.

    Args:
        spec: What to run.
        devices: The GPUs there are; they are looked for if not given.
        cores: How many processor cores there are; counted if not given.
        environ: The environment.

    Raises:
        SpecError: There are not as many GPUs as the spec asks for.
    """
    serve, wanted = spec.serve, spec.serve.workers
    if wanted.max == 1 and serve.gpus_per_worker is None:
        return Capacity(least=0 if wanted.min == 0 else 1, most=1)
    found = tuple(find_devices(environ) if devices is None else devices)
    available = count_cores() if cores is None else cores
    per_gpu = int(len(found) / (serve.gpus_per_worker or 1))
    words = {"per_gpu": per_gpu, "auto": per_gpu if found and spec.build.gpu else available}
    if not per_gpu and "per_gpu" in (wanted.min, wanted.max):
        raise _too_few("serve.workers: per_gpu", max(1, int(serve.gpus_per_worker or 1)), len(found))
    least, most = (words[end] if isinstance(end, str) else end for end in (wanted.min, wanted.max))
    if serve.gpus_per_worker is not None and most > per_gpu:
        needed = -(-most * serve.gpus_per_worker // 1)
        raise _too_few(
            f"{most} worker{'s' * (most != 1)} with serve.gpus_per_worker: {serve.gpus_per_worker:g}",
            int(needed),
            len(found),
        )
    return Capacity(
        least=min(least, most),
        most=most,
        devices=found if serve.isolation == "process" else (),  # threads share the server's environment
        gpus_per_worker=serve.gpus_per_worker or max(1, len(found) // most),
        threads=None if found or "OMP_NUM_THREADS" in environ else max(1, available // most),
    )


def _too_few(what: str, needed: int, found: int) -> SpecError:
    return SpecError(
        f"{what} takes {needed} GPU{'s' * (needed != 1)}, and {found or 'none'} can be seen here.\n"
        "Run it where they are (a container gets them by `--gpus all`), or set serve.workers to a number "
        "and remove serve.gpus_per_worker."
    )
