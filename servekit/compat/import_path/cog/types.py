"""`cog.types`; every name comes from servekit.compat.cog.types."""

from servekit.compat.cog.types import *  # noqa: F403 - the same names, under the name that Cog has for the module
