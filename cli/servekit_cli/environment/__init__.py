"""The local Python environment of a spec: made with uv, kept, and made again only when it has to differ."""

from servekit_cli.environment.prepare import needs_environment, prepare_environment

__all__ = ["needs_environment", "prepare_environment"]
