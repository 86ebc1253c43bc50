"""The engine: what builds and runs images. Docker, or whatever speaks its API."""

from servekit_cli.engine.connection import Engine, connect
from servekit_cli.engine.features import Features

__all__ = ["Engine", "Features", "connect"]
