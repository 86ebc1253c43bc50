"""The large files of a predictor: where they are, fetched once, checked, and put where it looks for them."""

from servekit_cli.weights.place import place_weights
from servekit_cli.weights.resolve import WeightFile, resolve_weights

__all__ = ["WeightFile", "place_weights", "resolve_weights"]
