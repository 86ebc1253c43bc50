"""Read the reports that buildx writes with `--progress=rawjson`.

Both forms are read: buildx 0.13 indents its objects over many lines, later ones write one a line. What
follows the last object is text: why the build failed.
"""

import base64
import binascii
import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, Final

from servekit_cli.engine.status import Log, Status, Transfer, Vertex

__all__ = ["JsonStream", "read_report"]


class JsonStream:
    """Takes JSON objects out of a stream of text, whatever is between them.

    Attributes:
        rest: What is no object: half of one until the rest of it comes, or plain text.
    """

    _decoder: Final = json.JSONDecoder()

    def __init__(self) -> None:
        self.rest = ""

    def feed(self, text: str) -> Iterator[dict[str, Any]]:
        """Give the objects that are complete now."""
        self.rest += text
        while True:
            self.rest = self.rest.lstrip()
            if not self.rest.startswith("{"):
                return
            try:
                found, end = self._decoder.raw_decode(self.rest)
            except ValueError:
                return
            self.rest = self.rest[end:]
            yield found


def read_report(report: dict[str, Any]) -> Status:
    """Read one report; what it has and we do not know is passed over."""
    return Status(
        vertexes=tuple(_vertex(one) for one in _each(report, "vertexes")),
        transfers=tuple(
            Transfer(one.get("vertex", ""), one.get("id", ""), one.get("current") or 0, one.get("total") or 0)
            for one in _each(report, "statuses")
        ),
        logs=tuple(Log(one.get("vertex", ""), _bytes(one.get("data"))) for one in _each(report, "logs")),
        warnings=tuple(_bytes(one.get("short")).decode(errors="replace") for one in _each(report, "warnings")),
    )


def _each(report: dict[str, Any], key: str) -> Iterable[dict[str, Any]]:
    return report.get(key) or ()


def _vertex(one: dict[str, Any]) -> Vertex:
    return Vertex(
        digest=one.get("digest", ""),
        name=one.get("name", ""),
        started=_time(one.get("started")),
        completed=_time(one.get("completed")),
        is_cached=bool(one.get("cached")),
        error=one.get("error", ""),
    )


def _time(text: str | None) -> float | None:
    return datetime.fromisoformat(text).timestamp() if text else None


def _bytes(text: str | None) -> bytes:
    try:
        return base64.b64decode(text or "")
    except binascii.Error:
        return b""
