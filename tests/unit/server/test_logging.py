"""The form of the log's lines."""

import logging
import os
import pty

import pytest
from logbook import Logbook

from servekit.server.lines import LineWriter
from servekit.server.logging import make_logger, route_standard_logging


def test_a_line_is_one_json_object(logbook: Logbook) -> None:
    logbook.log.info("request", path="/a\n", status=200)

    (line,) = logbook.lines
    assert list(line) == ["timestamp", "level", "event", "path", "status"]
    assert (line["level"], line["event"], line["path"]) == ("info", "request", "/a\n")
    assert line["timestamp"].endswith("Z")


def test_what_cannot_be_json_is_written_as_text(logbook: Logbook) -> None:
    logbook.log.info("x", path=ValueError("odd"))

    assert logbook.lines[0]["path"] == "odd"


def test_less_important_lines_are_dropped() -> None:
    book = Logbook("warning")

    book.log.info("no")
    book.log.warning("yes")

    assert [line["event"] for line in book.lines] == ["yes"]
    book.close()


def test_a_terminal_gets_text_with_the_traceback_on_lines_of_its_own() -> None:
    ours, theirs = pty.openpty()

    make_logger("auto", "info", LineWriter(theirs)).error("failed", prediction="abc", traceback="Traceback:\n  line")

    text = os.read(ours, 10_000).decode()
    assert "failed" in text
    assert "abc" in text
    assert text.endswith("\r\nTraceback:\r\n  line\r\n")
    os.close(ours)
    os.close(theirs)


@pytest.mark.parametrize(
    ("variables", "is_colored"),
    [
        ({}, True),
        ({"NO_COLOR": "1"}, False),
        ({"NO_COLOR": ""}, True),
        ({"TERM": "dumb"}, False),
        ({"TERM": "dumb", "FORCE_COLOR": "1"}, True),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
    ],
)
def test_the_environment_decides_on_colors(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], is_colored: bool
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    ours, theirs = pty.openpty()

    make_logger("auto", "info", LineWriter(theirs)).info("hello")

    assert (b"\x1b[" in os.read(ours, 10_000)) is is_colored
    os.close(ours)
    os.close(theirs)


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_the_format_can_be_chosen(log_format: str) -> None:
    reader, writer = os.pipe()

    make_logger("json" if log_format == "json" else "console", "info", LineWriter(writer)).info("hello")

    assert os.read(reader, 1000).startswith(b"{") is (log_format == "json")
    os.close(reader)
    os.close(writer)


def test_what_libraries_log_is_logged_with_its_name_and_traceback(logbook: Logbook) -> None:
    root = logging.getLogger()
    before = (root.handlers, root.level)
    try:
        route_standard_logging(logbook.log)
        logging.getLogger("uvicorn.error").info("too little")
        try:
            raise ZeroDivisionError
        except ZeroDivisionError:
            logging.getLogger("uvicorn.error").exception("oh: %s", "no")
    finally:
        root.handlers, root.level = before

    (line,) = logbook.lines
    assert (line["level"], line["event"], line["logger"]) == ("error", "oh: no", "uvicorn.error")
    assert "ZeroDivisionError" in line["traceback"]
