"""What `import cog` finds in a Cog project; every name comes from servekit.compat.cog, `__all__` included."""

from typing import Any

from servekit.compat import cog


def __getattr__(name: str) -> Any:
    return getattr(cog, name)
