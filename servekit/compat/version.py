"""Which Cog servekit stands in for; apart from the SDK, which a server does not load."""

from typing import Final

__all__ = ["COG_VERSION"]

COG_VERSION: Final = "0.23.1+servekit"
"""The version of Cog whose SDK and HTTP contract are followed."""
