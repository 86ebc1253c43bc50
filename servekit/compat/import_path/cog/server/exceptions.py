"""`cog.server.exceptions`, where earlier versions of Cog had the exception that cancels a prediction."""

from servekit.compat.cog import CancelationException

__all__ = ["CancelationException"]
