"""`cog.server.scope`, where earlier versions of Cog had the scope."""

from servekit.compat.cog.scope import Scope, current_scope

__all__ = ["Scope", "current_scope"]
