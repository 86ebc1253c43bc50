"""`cog.model`; every name comes from servekit.compat.cog.model."""

from servekit.compat.cog.model import *  # noqa: F403 - the same names, under the name that Cog has for the module
