"""How a project's dialect finds its predictor or trainer, reads its signature, and what its code may import."""

import contextlib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from servekit.predictor import LoadedPredictor, load_predictor
from servekit.reading import OWN, Reading
from servekit.spec import Dialect, Mode

__all__ = ["Loader", "find_loader"]


@dataclass(frozen=True, slots=True)
class Loader:
    """What is different about the predictors of one dialect.

    Attributes:
        load: Imports the module that a reference names, and finds the predictor in it.
        reading: How its signature is read.
        imports: Has what its code imports be there until the block ends.
        environment: Returns the environment variables for its process, given those of the server.
        adopts_threads: Threads of its own that a sync predictor starts work for the prediction that runs, if there
            is never more than one in the process.
    """

    load: Callable[[str, Path], LoadedPredictor]
    reading: Reading
    imports: Callable[[], AbstractContextManager[None]]
    environment: Callable[[Mapping[str, str]], dict[str, str]]
    adopts_threads: bool = False


def find_loader(dialect: Dialect, mode: Mode) -> Loader:
    """Return the loader of what a dialect's projects are run for."""
    if dialect == "servekit":  # whose projects have no trainer
        return Loader(load_predictor, OWN, contextlib.nullcontext, dict)
    # Not at the top: only Cog projects need it.
    from servekit.compat.importing import add_cog_to_environment, importable_cog  # noqa: PLC0415
    from servekit.compat.predictor import load_cog_predictor, load_cog_trainer  # noqa: PLC0415
    from servekit.compat.reading import CogReading  # noqa: PLC0415

    load = load_cog_trainer if mode == "train" else load_cog_predictor
    return Loader(load, CogReading(), importable_cog, add_cog_to_environment, adopts_threads=True)
