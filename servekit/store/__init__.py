"""Where predictions are kept: from their start on, and for a while after their end."""

from typing import Protocol

from servekit.runtime.prediction import Prediction
from servekit.store.memory import MemoryStore
from servekit.store.page import Page

__all__ = ["MemoryStore", "Page", "Store"]


class Store(Protocol):
    """Keeps predictions by id. All of it belongs to one event loop."""

    def get(self, id: str) -> Prediction | None:  # noqa: A002 - the field's name everywhere
        """Return a prediction, or None when it is unknown or its time is up."""
        ...

    def put(self, prediction: Prediction) -> None:
        """Keep a prediction whose id is not taken."""
        ...

    def settle(self, prediction: Prediction) -> None:
        """Take note that a prediction has ended: from now on it counts towards the history's limits."""
        ...

    def discard(self, prediction: Prediction) -> None:
        """Let go of a prediction at once, as if it had never been asked for."""
        ...

    def page(self, cursor: int | None, limit: int) -> Page:
        """Return up to `limit` predictions, newest first, from a cursor on."""
        ...
