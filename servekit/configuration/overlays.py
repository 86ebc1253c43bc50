"""Values that hold in one Context only, over those of the process.

An overlay holds only the names it was given, so that all others stay live. Overlays lie on each other in
layers, and who leaves takes away the very layer he brought. To put back what was there before, as a
token of a context variable does, would be wrong as soon as a generator and its consumer have overlays
that begin and end in turns: the later one to go would bring back the other's.
"""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

__all__ = ["Overlay", "current_overlay", "drop_layer", "push_layer", "uncovered"]


@dataclass(frozen=True, slots=True, eq=False)
class Overlay:
    """All layers of a Context.

    Attributes:
        layers: The innermost last.
        merged: The value of every name in them.
    """

    layers: tuple[Mapping[str, Any], ...]
    merged: Mapping[str, Any]


_overlay: ContextVar[Overlay | None] = ContextVar("servekit_settings", default=None)

current_overlay = _overlay.get
"""Returns the overlay of the calling code's Context, or None. Called at each read of a setting."""


def push_layer(values: Mapping[str, Any]) -> None:
    """Lay values over the others of this Context. The mapping itself is what `drop_layer` takes."""
    if not values:
        return
    overlay = _overlay.get()
    _overlay.set(_stack((values,) if overlay is None else (*overlay.layers, values)))


def drop_layer(values: Mapping[str, Any]) -> None:
    """Take a layer away; in another Context than the one it was laid in there is none, and nothing to do."""
    overlay = _overlay.get()
    if overlay is not None:
        _overlay.set(_stack(tuple(layer for layer in overlay.layers if layer is not values)))


@contextmanager
def uncovered() -> Generator[None]:
    """Have no overlay in this Context until the block ends."""
    overlay = _overlay.get()
    _overlay.set(None)
    try:
        yield
    finally:
        _overlay.set(overlay)


def _stack(layers: tuple[Mapping[str, Any], ...]) -> Overlay | None:
    if not layers:
        return None
    merged: dict[str, Any] = {}
    for layer in layers:
        merged.update(layer)
    return Overlay(layers, merged)
