"""The server's log: one line per event, JSON in a container and readable on a terminal.

structlog with its fast settings: the level is filtered before anything is built, and a line is
written once, as bytes. The inputs and outputs of predictions never appear in it.
"""

import logging
import sys
from collections.abc import Callable
from typing import Any, BinaryIO, Literal

import msgspec
import structlog
from structlog.typing import EventDict, FilteringBoundLogger

__all__ = ["Level", "make_logger", "route_standard_logging"]

Level = Literal["debug", "info", "warning", "error"]

_encode = msgspec.json.Encoder(enc_hook=str).encode


def make_logger(
    log_format: Literal["auto", "json", "console"], level: Level, stream: BinaryIO | None = None
) -> FilteringBoundLogger:
    """Return a logger.

    Args:
        log_format: `auto` is `console` when the stream is a terminal, else `json`.
        level: Less important lines are dropped.
        stream: Where lines go; standard error if not given.
    """
    target = sys.stderr.buffer if stream is None else stream
    is_console = target.isatty() if log_format == "auto" else log_format == "console"
    render = _console_renderer(colors=target.isatty()) if is_console else _render_json
    log: FilteringBoundLogger = structlog.wrap_logger(
        structlog.BytesLogger(target),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=not is_console),
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
    ).bind()
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


def _render_json(_logger: Any, _method: str, event: EventDict) -> bytes:
    return _encode(event)


def _console_renderer(*, colors: bool) -> Callable[[Any, str, EventDict], bytes]:
    renderer = structlog.dev.ConsoleRenderer(colors=colors, sort_keys=False)

    def render(logger: Any, method: str, event: EventDict) -> bytes:
        # Tracebacks keep their lines; a renderer of values would write them as one.
        traceback = event.pop("traceback", None)
        line = renderer(logger, method, event)
        return (f"{line}\n{traceback.rstrip()}" if traceback else line).encode("utf-8", "backslashreplace")

    return render
