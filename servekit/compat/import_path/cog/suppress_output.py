"""`cog.suppress_output`; every name comes from servekit.compat.cog.suppress_output."""

from servekit.compat.cog.suppress_output import *  # noqa: F403 - the same names, under the name that Cog has for the module
