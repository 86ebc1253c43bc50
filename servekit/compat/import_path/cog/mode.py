"""`cog.mode`; every name comes from servekit.compat.cog.mode."""

from servekit.compat.cog.mode import *  # noqa: F403 - the same names, under the name that Cog has for the module
