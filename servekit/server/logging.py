"""The server's log: one line per event, JSON in a container and readable on a terminal.

structlog with its fast settings: the level is filtered before anything is built, one step makes the
line, as bytes, and the lines of one turn of the loop are written together. The inputs and outputs of
predictions never appear in it.
"""

import logging
import os
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec
import structlog
from structlog.typing import EventDict, FilteringBoundLogger

from servekit.server.lines import LineWriter

__all__ = ["Level", "make_logger", "route_standard_logging"]

Level = Literal["debug", "info", "warning", "error"]

_encode = msgspec.json.Encoder(enc_hook=str).encode


def make_logger(
    log_format: Literal["auto", "json", "console"], level: Level, writer: LineWriter
) -> FilteringBoundLogger:
    """Return a logger.

    Args:
        log_format: `auto` is `console` on a terminal, else `json`.
        level: Less important lines are dropped.
        writer: Where lines go.
    """
    is_console = writer.is_terminal if log_format == "auto" else log_format == "console"
    render = _console_renderer(colors=_wants_colors(writer)) if is_console else _render_json
    log: FilteringBoundLogger = structlog.wrap_logger(
        writer, processors=[render], wrapper_class=structlog.make_filtering_bound_logger(level)
    ).bind()
    writer.on_dropped = lambda count: log.warning("nobody read the log in time; lines were dropped", lines=count)
    return log


def route_standard_logging(log: FilteringBoundLogger, level: int = logging.WARNING) -> None:
    """Let what libraries log through the standard library appear in our log, from a level on."""
    root = logging.getLogger()
    root.handlers = [_Bridge(log)]
    root.setLevel(level)


class _Bridge(logging.Handler):
    def __init__(self, log: FilteringBoundLogger) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        values: dict[str, Any] = {"logger": record.name}
        if record.exc_info:
            values["traceback"] = logging.Formatter().formatException(record.exc_info)
        self._log.log(record.levelno, record.getMessage(), **values)


def _wants_colors(writer: LineWriter) -> bool:
    """Follow the convention: NO_COLOR wins over FORCE_COLOR, and both over what is at the other end."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (writer.is_terminal and os.environ.get("TERM") != "dumb")


def _render_json(_logger: Any, method: str, event: EventDict) -> bytes:
    return _encode({"timestamp": datetime.now(UTC), "level": method, "event": event.pop("event", ""), **event})


def _console_renderer(*, colors: bool) -> Callable[[Any, str, EventDict], bytes]:
    renderer = structlog.dev.ConsoleRenderer(colors=colors, sort_keys=False)

    def render(logger: Any, method: str, event: EventDict) -> bytes:
        # Tracebacks keep their lines; a renderer of values would write them as one.
        traceback = event.pop("traceback", None)
        event["level"] = method
        event["timestamp"] = f"{datetime.now():%H:%M:%S}"  # noqa: DTZ005 - a person's own clock
        line = renderer(logger, method, event)
        return (f"{line}\n{traceback.rstrip()}" if traceback else line).encode("utf-8", "backslashreplace")

    return render
