"""`cog.predictor`; every name comes from servekit.compat.cog."""

from servekit.compat.cog import BasePredictor, BaseRunner
from servekit.compat.cog.loading import load_predictor_from_ref

__all__ = ["BasePredictor", "BaseRunner", "load_predictor_from_ref"]
