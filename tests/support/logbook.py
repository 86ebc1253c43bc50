"""A log that a test can read."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from structlog.typing import FilteringBoundLogger

from servekit.server.lines import LineWriter
from servekit.server.logging import Level, make_logger

__all__ = ["Logbook"]


class Logbook:
    """A real logger that writes JSON to a temporary file."""

    def __init__(self, level: Level = "debug") -> None:
        self._descriptor, name = tempfile.mkstemp()
        Path(name).unlink()
        self._writer = LineWriter(self._descriptor)
        self.log: FilteringBoundLogger = make_logger("json", level, self._writer)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._descriptor)

    @property
    def lines(self) -> list[dict[str, Any]]:
        """What was logged so far."""
        self._writer.flush()
        text = os.pread(self._descriptor, 1 << 20, 0)
        return [json.loads(line) for line in text.splitlines()]
