"""`cog.server`: what projects import of Cog's server, or start."""
