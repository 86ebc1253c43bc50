"""A Cog predictor or trainer: which method of a class it is, and how it is set up."""

import dataclasses
import inspect
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from servekit.compat.cog import BaseRunner
from servekit.compat.cog.runner import choose_method, list_deprecations
from servekit.errors import PredictorError
from servekit.importer import import_target
from servekit.predictor import LoadedPredictor, PredictorHandle, refuse_uncallable, unbound_method

__all__ = ["CogPredictor", "load_cog_predictor", "load_cog_trainer"]


@dataclasses.dataclass(frozen=True, slots=True)
class CogPredictor(LoadedPredictor):
    """A Cog predictor whose module is imported and of which no instance exists yet.

    Attributes:
        method: What its `predict` is called in the class.
    """

    method: str = "run"

    @property
    def has_healthcheck(self) -> bool:
        """Whether the author wrote a `healthcheck`."""
        return self.is_class and callable(getattr(self.target, "healthcheck", None))

    def instantiate(self) -> PredictorHandle:
        """Make the instance; what the author's `__init__` raises travels on untouched."""
        if not self.is_class:
            return PredictorHandle(self.target)
        instance = self.target()
        return PredictorHandle(
            getattr(instance, self.method),
            setup=_find_setup(instance),
            healthcheck=instance.healthcheck if self.has_healthcheck else None,
            teardown=getattr(instance, "teardown", None),  # Cog has none; a class that brings one means the same by it
        )


def load_cog_predictor(reference: str, root: Path) -> CogPredictor:
    """Import the module that `reference` names and find the predictor in it; see `load_predictor`.

    What is deprecated about it goes to the log.

    Raises:
        PredictorError: The reference names something that is not there or not a predictor.
        SignatureError: The class's method takes no `self`.
    """
    target = import_target(reference, root)
    if not inspect.isclass(target):
        refuse_uncallable(target, reference)
        return CogPredictor(reference, target, is_class=False, predict=target)
    name = reference.rpartition(":")[2]
    try:
        method = choose_method(target, name)
    except ValueError as error:
        raise PredictorError(str(error)) from None
    for sentence in list_deprecations(target, name):
        sys.stderr.write(f"cog: {sentence}\n")
    return _make(reference, target, method)


def load_cog_trainer(reference: str, root: Path) -> CogPredictor:
    """Import the module that `reference` names and find what trains in it: a function, or a class with `train`.

    A class may have `run` or `predict` as well, which training does not ask for.

    Raises:
        PredictorError: The reference names something that is not there or cannot train.
        SignatureError: The class's method takes no `self`.
    """
    target = import_target(reference, root)
    if not inspect.isclass(target):
        refuse_uncallable(target, reference)
        return CogPredictor(reference, target, is_class=False, predict=target)
    if not hasattr(target, "train"):
        message = f"{reference} has no train method; write `def train(self, ...)`"
        raise PredictorError(message)
    return _make(reference, target, "train")


def _make(reference: str, target: type, method: str) -> CogPredictor:
    predict = unbound_method(target, method, reference)
    return CogPredictor(reference, target, is_class=True, predict=predict, method=method)


def _find_setup(instance: Any) -> Callable[[], Any] | None:
    setup: Callable[..., Any] | None = getattr(instance, "setup", None)
    if setup is None or getattr(setup, "__func__", None) is BaseRunner.setup:
        return None
    if "weights" not in inspect.signature(setup).parameters:
        return setup
    return partial(setup, weights=os.environ.get("COG_WEIGHTS") or None)
