"""`cog.input`; every name comes from servekit.compat.cog.input."""

from servekit.compat.cog.input import *  # noqa: F403 - the same names, under the name that Cog has for the module
