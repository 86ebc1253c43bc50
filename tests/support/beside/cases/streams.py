"""Server-sent events."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any, Final

from beside.case import Area, Difference
from beside.projects import ASYNC, SHORT, STREAM, SYNC
from beside.reading import read_answer, read_events
from beside.server import Server

AREA: Final = Area("Streams")

_EVENTS: Final = {"accept": "text/event-stream"}
_SOON_SECONDS: Final = 1.0
_LOGS: Final = "line 0\nline 1\n"


def _stream(server: Server, **values: Any) -> list[tuple[str, Any]]:
    return read_events(server.send({"input": values}, **_EVENTS).iter_lines())


def _step(number: int) -> list[tuple[str, Any]]:
    return [
        ("log", {"source": "stdout", "data": f"line {number}\n"}),
        ("metric", {"name": "steps", "value": 1, "mode": "increment"}),
        ("output", {"chunk": f"chunk-{number}", "index": number}),
    ]


def _completed(status: str, count: int) -> tuple[str, Any]:
    chunks = [f"chunk-{number}" for number in range(count)]
    logs = "".join(f"line {number}\n" for number in range(count))
    return "completed", {"status": status, "output": chunks, "logs": logs, "metrics": {"steps": count}}


def _of_kind(events: list[tuple[str, Any]], *kinds: str) -> list[tuple[str, Any]]:
    return [event for event in events if event[0] in kinds]


@AREA.agrees(STREAM, [("start", {"status": "processing"}), *_step(0), *_step(1), *_step(2), _completed("succeeded", 3)])
def a_generator_s_events_come_in_order(server: Server) -> Any:
    return _stream(server, count=3)


@AREA.agrees(STREAM, [[each] for kind in (0, 1, 2) for each in _step(0)[kind : kind + 1]])
def each_kind_of_event_has_its_form(server: Server) -> Any:
    events = _stream(server, count=1)
    return [_of_kind(events, kind) for kind in ("log", "metric", "output")]


@AREA.agrees(STREAM, ("failed", ["chunk-0"]))
def a_failure_ends_the_stream(server: Server) -> Any:
    name, body = _stream(server, count=1, fails=True)[-1]
    assert name == "completed"
    return body["status"], body["output"]


@AREA.agrees(
    SYNC,
    (
        406,
        {"error": "This model does not support streaming responses. Add @cog.streaming to predict() to enable SSE."},
    ),
)
def a_model_without_streaming_is_not_streamed(server: Server) -> Any:
    answer = server.send({"input": {"do": "call"}}, **_EVENTS)
    return answer.status_code, {"error": answer.json()["error"]}


@AREA.agrees(STREAM, (200, {"status": "succeeded", "output": ["chunk-0"], "logs": "line 0\n", "metrics": {"steps": 1}}))
def without_a_stream_all_chunks_come_at_once(server: Server) -> Any:
    return read_answer(server.predict({"count": 1}))


@AREA.agrees(ASYNC, (200, ["chunk-0", "chunk-1"], _LOGS))
def without_a_stream_all_async_chunks_come_at_once(server: Server) -> Any:
    status, body = read_answer(server.predict({"count": 2}))
    return status, body["output"], body["logs"]


@AREA.agrees(STREAM, (200, "text/event-stream", "no-cache"))
def a_stream_has_its_headers(server: Server) -> Any:
    answer = server.send({"input": {"count": 1}}, **_EVENTS)
    return answer.status_code, answer.headers["content-type"].partition(";")[0], answer.headers["cache-control"]


@AREA.differs(
    STREAM,
    Difference(
        "character set of a stream",
        "not named",
        "named in the header: `text/event-stream; charset=utf-8`",
        "clients that decode by the header take text without one for Latin-1",
    ),
    cog="",
    here="charset=utf-8",
)
def a_stream_has_a_character_set(server: Server) -> Any:
    answer = server.send({"input": {"count": 1}}, **_EVENTS)
    return answer.headers["content-type"].partition("; ")[2]


@AREA.differs(
    STREAM,
    Difference(
        "`id:` of an event",
        "none",
        "its number",
        "a client that lost its connection goes on where it was (`Last-Event-ID`)",
    ),
    cog=False,
    here=True,
)
def events_have_numbers(server: Server) -> Any:
    return "id: 0\n" in server.send({"input": {"count": 1}}, **_EVENTS).text


def _comes_as_it_is_made(server: Server, name: str) -> bool:
    """Whether a chunk comes while the generator waits behind it."""
    server.wait_until_idle()
    came = Event()

    def read(lines: Iterator[str]) -> None:
        for line in lines:
            if line == "event: output":
                came.set()

    body = {"input": {"name": name, "count": 1}}
    with (
        ThreadPoolExecutor(1) as thread,
        server.client.stream("POST", "/predictions", json=body, headers=_EVENTS) as answer,
    ):
        reading = thread.submit(read, answer.iter_lines())
        server.wait_for(f"{name}.begun")
        is_live = came.wait(_SOON_SECONDS)
        server.tell(name)
        reading.result()
    return is_live


@AREA.agrees(STREAM, True)
def a_chunk_of_a_generator_comes_as_it_is_made(server: Server) -> Any:
    return _comes_as_it_is_made(server, "live")


@AREA.differs(
    ASYNC,
    Difference(
        "an async generator",
        "all of its chunks come at the end",
        "each chunk comes as it is yielded",
        "that is what a stream is for",
    ),
    cog=False,
    here=True,
)
def a_chunk_of_an_async_generator(server: Server) -> Any:
    return _comes_as_it_is_made(server, "live")


@AREA.agrees(STREAM, (200, [("start", {"status": "processing"}), *_step(0), _completed("succeeded", 1)]))
def put_joins_the_stream_of_one_in_flight(server: Server) -> Any:
    server.begin("join", {"name": "join", "count": 1})
    with server.client.stream("PUT", "/predictions/join", json={"input": {}}, headers=_EVENTS) as answer:
        server.tell("join")
        return answer.status_code, read_events(answer.iter_lines())


@AREA.agrees(SHORT, [("error", {"error": "SSE stream replay truncated; events were dropped", "skipped": 2})])
def who_joins_after_more_events_than_are_kept_is_told(server: Server) -> Any:
    server.begin("late", {"name": "late", "count": 1}, **server.hook("late", "output"))
    server.posts("late")  # by then the server has the events
    with server.client.stream("PUT", "/predictions/late", json={"input": {}}, headers=_EVENTS) as answer:
        server.tell("late")
        return read_events(answer.iter_lines())


@AREA.agrees(STREAM, "canceled")
def a_reader_that_goes_cancels(server: Server) -> Any:
    server.wait_until_idle()
    body = {"input": {"name": "gone"}, **server.hook("gone", "completed")}
    with server.client.stream("POST", "/predictions", json=body, headers=_EVENTS):
        server.wait_for("gone.begun")
    return server.posts_to_end("gone")[-1].prediction["status"]
