"""Reading BuildKit's reports: as JSON, as protobuf, and as lines."""

import base64
import json

import pytest

from servekit_cli.engine.events import BuildEvent, BuildWarning, StepDone, StepLog, StepProgress, StepStarted
from servekit_cli.engine.plain import PlainReader
from servekit_cli.engine.reports import JsonStream, read_report
from servekit_cli.engine.status import Log, Status, StatusReader, Transfer, Vertex
from servekit_cli.engine.trace import decode_trace

REPORT = {
    "vertexes": [
        {
            "digest": "sha256:a",
            "inputs": ["sha256:b"],
            "name": "[2/2] RUN ü",
            "started": "2026-11-21T08:40:59.5Z",
            "completed": "2026-11-21T08:41:00.750000001Z",
            "cached": True,
            "error": "no",
        }
    ],
    "statuses": [{"id": "transferring context:", "vertex": "sha256:a", "name": "transferring", "current": 300}],
    "logs": [{"vertex": "sha256:a", "stream": 1, "data": base64.b64encode("ü\n".encode()).decode()}],
    "warnings": [{"vertex": "sha256:a", "level": 1, "short": base64.b64encode(b"careful").decode()}],
}
STATUS = Status(
    vertexes=(Vertex("sha256:a", "[2/2] RUN ü", 1795250459.5, 1795250460.75, is_cached=True, error="no"),),
    transfers=(Transfer("sha256:a", "transferring context:", 300, 0),),
    logs=(Log("sha256:a", "ü\n".encode()),),
    warnings=("careful",),
)


@pytest.mark.parametrize("indent", [None, 2], ids=["one a line", "indented"])
@pytest.mark.parametrize("piece", [1, 7, 10_000])
def test_reports_come_out_of_a_stream_however_it_is_cut(indent: int | None, piece: int) -> None:
    text = "\n".join(json.dumps(REPORT, indent=indent) for _ in range(3)) + "\nDockerfile:2\nERROR: failed"
    stream = JsonStream()

    found = [report for at in range(0, len(text), piece) for report in stream.feed(text[at : at + piece])]

    assert found == [REPORT] * 3
    assert stream.rest == "Dockerfile:2\nERROR: failed"


def test_a_report_is_read_from_json() -> None:
    assert read_report(REPORT) == STATUS


def test_what_a_report_lacks_is_empty() -> None:
    assert read_report({}) == Status()
    assert read_report({"logs": None, "something": 1}) == Status()


def field(number: int, value: bytes | int) -> bytes:
    """Encode one field of a protobuf message."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def varint(value: int) -> bytes:
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])


def time_of(seconds: int, nanoseconds: int) -> bytes:
    return field(1, seconds) + field(2, nanoseconds)


MESSAGE = (
    field(
        1,
        field(1, b"sha256:a")
        + field(2, b"sha256:b")
        + field(3, "[2/2] RUN ü".encode())
        + field(4, 1)
        + field(5, time_of(1795250459, 500_000_000))
        + field(6, time_of(1795250460, 750_000_000))
        + field(7, b"no"),
    )
    + field(2, field(1, b"transferring context:") + field(2, b"sha256:a") + field(4, 300))
    + field(3, field(1, b"sha256:a") + field(3, 1) + field(4, "ü\n".encode()))
    + field(4, field(1, b"sha256:a") + field(2, 1) + field(3, b"careful"))
    + varint(15 << 3 | 1)
    + bytes(8)  # a number of 64 bits, in a field that we do not know
    + varint(16 << 3 | 5)
    + bytes(4)
)


def test_a_report_is_read_from_protobuf() -> None:
    decoded = decode_trace(MESSAGE)

    assert decoded == STATUS


@pytest.mark.parametrize("message", [MESSAGE[:-1], MESSAGE[:10], b"\x80", b"\x0b"])
def test_a_message_that_is_none_is_refused(message: bytes) -> None:
    with pytest.raises(ValueError, match=r"no end|longer than its message|wire type"):
        decode_trace(message)


def events_of(*statuses: Status) -> list[BuildEvent]:
    reader = StatusReader()
    return [event for status in statuses for event in reader.read(status)]


def test_a_step_starts_prints_and_ends() -> None:
    waiting, running = Vertex("a", "RUN x"), Vertex("a", "RUN x", started=1.0)
    done = Vertex("a", "RUN x", started=1.0, completed=3.5)

    events = events_of(
        Status((waiting,)),
        Status((running,)),
        Status(logs=(Log("a", b"one\ntw"), Log("a", b"o\nno end"))),
        Status((done,), transfers=(Transfer("a", "layer", 1, 2),)),
        Status((done,)),
    )

    assert events == [
        StepStarted("a", "RUN x"),
        StepLog("a", "one"),
        StepLog("a", "two"),
        StepProgress("a", "layer", 1, 2),
        StepLog("a", "no end"),
        StepDone("a", is_cached=False, seconds=2.5),
    ]


def test_a_step_that_is_found_to_be_cached_later_ends_once_more() -> None:
    found = Vertex("a", "FROM x", started=1.0, completed=1.0)
    cached = Vertex("a", "FROM x", started=2.0, completed=2.0, is_cached=True)

    events = events_of(Status((found,)), Status((cached,)), Status((found,)))

    assert events[1:] == [StepDone("a", seconds=0.0), StepDone("a", is_cached=True, seconds=0.0)]


def test_a_character_that_comes_in_two_pieces_is_whole() -> None:
    started = Status((Vertex("a", "RUN x", started=1.0),))

    events = events_of(started, Status(logs=(Log("a", b"\xc3"),)), Status(logs=(Log("a", b"\xbc\xff\n"),)))

    assert events[1:] == [StepLog("a", "ü�")]


def test_warnings_and_logs_of_no_step_do_no_harm() -> None:
    events = events_of(Status(logs=(Log("nobody", b"x\n"),), warnings=("careful",)))

    assert events == [BuildWarning("careful")]


PLAIN = """\
#0 building with "default" instance using docker driver

#1 [internal] load build definition from Dockerfile
#1 transferring dockerfile: 120B done
#1 DONE 0.0s

#2 [1/3] FROM docker.io/library/python:3.12-slim
#2 CACHED

#3 [2/3] RUN echo "#9 x" && false
#3 sha256:abc
#3 0.221 #9 x
#3 ...

#4 [other 1/1] RUN sleep 2
#4 DONE 2.1s

#3 [2/3] RUN echo "#9 x" && false
#3 0.400
#3 ERROR: process "/bin/sh -c false" did not complete successfully: exit code: 1
------
 > [2/3] RUN echo:
------
ERROR: failed to solve: process
"""


def test_lines_of_a_client_without_json_are_read() -> None:
    reader = PlainReader()

    events = [event for line in PLAIN.split("\n") for event in reader.read(line)]

    assert events[2:] == [
        StepDone("1", seconds=0.0),
        StepStarted("2", "[1/3] FROM docker.io/library/python:3.12-slim"),
        StepDone("2", is_cached=True),
        StepStarted("3", '[2/3] RUN echo "#9 x" && false'),
        StepLog("3", "#9 x"),
        StepStarted("4", "[other 1/1] RUN sleep 2"),
        StepDone("4", seconds=2.1),
        StepLog("3", ""),
        StepDone("3", error='process "/bin/sh -c false" did not complete successfully: exit code: 1'),
    ]
    assert reader.rest[-1] == "ERROR: failed to solve: process"
