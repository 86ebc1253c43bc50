"""Names that Cog has given up and that published code still imports."""

from servekit.compat.cog.scope import current_scope

__all__ = ["ExperimentalFeatureWarning", "emit_metric"]


class ExperimentalFeatureWarning(FutureWarning):
    """Never raised; it is there to be named in warning filters."""


def emit_metric(name: str, value: float) -> None:
    """Record a metric of the current prediction."""
    current_scope().record_metric(name, value)
