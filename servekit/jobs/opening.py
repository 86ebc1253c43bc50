"""From what a user names to the target that runs its rows."""

import inspect
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path
from typing import Any

from servekit.errors import UsageError
from servekit.jobs.instance_target import HasPredict, InstanceTarget
from servekit.jobs.pool_target import PoolTarget
from servekit.jobs.target import Target
from servekit.spec import Spec, load_spec

__all__ = ["choose_target"]


def choose_target(
    given: Target | HasPredict | Spec | str | Path | Callable[..., Any],
) -> AbstractAsyncContextManager[Target]:
    """Return what opens a target for the length of a job; one that the caller has opened stays open.

    Raises:
        UsageError: It is nothing that could run rows.
        SpecError: It names a spec that is not there or cannot be used.
    """
    if isinstance(given, Spec):
        return PoolTarget(given)
    if isinstance(given, str | Path):
        return PoolTarget(load_spec(Path(given)))
    if inspect.isclass(given) or inspect.isfunction(given):
        return PoolTarget(_make_spec(given))
    if isinstance(given, Target):
        return nullcontext(given)
    if isinstance(given, HasPredict):
        return InstanceTarget(given)
    message = (
        f"{given!r} cannot run rows; give the folder of a project, a predictor's class or instance, a function, "
        "or an object with the methods of servekit.jobs.Target"
    )
    raise UsageError(message)


def _make_spec(predictor: Callable[..., Any]) -> Spec:
    """Return the spec of a class or function that its file defines at the top."""
    name = predictor.__qualname__
    module = sys.modules.get(predictor.__module__)
    file = getattr(module, "__file__", None)
    if file is None or getattr(module, name, None) is not predictor:
        message = (
            f"{predictor.__module__}.{name} cannot be imported by a worker process; define it at the top level of a "
            "file, or give an instance of it, which runs in this process"
        )
        raise UsageError(message)
    path = Path(file).absolute()
    return Spec(predictor=f"{path.name}:{name}", path=path.parent / "servekit.yaml")
