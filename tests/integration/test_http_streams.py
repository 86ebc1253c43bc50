"""Event streams over HTTP, and clients that go away."""

import json
import re
import socket
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from serving import Server, StartServer, wait_until

CODE = """
    import asyncio, sys
    from collections.abc import AsyncIterator
    from pathlib import Path

    class Predictor:
        async def predict(
            self, count: int = 3, gate: str = "", log: str = "", fail_at: int = -1, size: int = 0
        ) -> AsyncIterator[str]:
            if log:
                print(log)
            try:
                for number in range(count):
                    if number == fail_at:
                        raise RuntimeError("told to")
                    yield f"t{number}".ljust(size, "x")
                    if gate:
                        # What was yielded last, for the test to see.
                        Path(gate + ".count").write_text(str(number))
                if gate:
                    Path(gate + ".started").touch()
                    while not Path(gate).exists():
                        await asyncio.sleep(0.005)
                    yield "end"
            except BaseException as error:
                if gate:
                    Path(gate + ".error").write_text(type(error).__name__)
                raise
"""
EVENTS = {"Accept": "text/event-stream"}
WITH_A_FAULT = """
import sys
from servekit.server import program, sse

read = sse.EventCursor.read

def read_with_a_fault(cursor):
    if cursor.seen >= 3:
        raise RuntimeError("a fault of the server")
    return read(cursor)

sse.EventCursor.read = read_with_a_fault
sys.exit(program.main(sys.argv[1:]))
"""


@pytest.fixture(scope="module", params=["process", "thread"])
def server(start_server: StartServer, request: pytest.FixtureRequest) -> Server:
    return start_server(CODE, concurrency=8, isolation=request.param, keep_alive="100ms")


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


def read_events(lines: Iterator[str]) -> Iterator[tuple[int, str, Any]]:
    fields: dict[str, str] = {}
    for line in lines:
        if not line and fields:
            yield int(fields.get("id", -1)), fields["event"], json.loads(fields["data"])
            fields = {}
        elif line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            fields[name] = value


def stream(client: httpx.Client, **values: Any) -> list[tuple[int, str, Any]]:
    with client.stream("POST", "/predictions", json={"input": values}, headers=EVENTS) as response:
        return list(read_events(response.iter_lines()))


def chunks(events: list[tuple[int, str, Any]]) -> list[str]:
    return [data["chunk"] for _, name, data in events if name == "output"]


def start(client: httpx.Client, name: str, gate: Path, **values: Any) -> None:
    response = client.put(
        f"/predictions/{name}", json={"input": {"gate": str(gate), **values}}, headers={"Prefer": "respond-async"}
    )
    assert response.status_code == 202


def wait_for(server: Server, name: str) -> str:
    """Wait for the end of a prediction that was canceled, by the log, and return its error."""
    line = server.wait_for(lambda line: line["event"] == "prediction ended" and line.get("prediction") == name)
    return str(line["error"])


def connect(server: Server, name: str, accept: str = "text/event-stream", **values: Any) -> socket.socket:
    """Ask for a prediction by hand, to be able to misbehave."""
    url = httpx.URL(server.url)
    body = json.dumps({"input": values}).encode()
    connection = socket.create_connection((url.host, url.port), 30)
    connection.sendall(
        f"PUT /predictions/{name} HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n".encode()
        + body
    )
    return connection


def test_a_stream_has_every_event_in_order_with_its_id(client: httpx.Client) -> None:
    events = stream(client, count=3, log="hm")

    assert [number for number, _, _ in events] == list(range(len(events)))
    assert (events[0][1], events[-1][1]) == ("start", "completed")
    assert [data for _, name, data in events if name == "output"] == [
        {"chunk": "t0", "index": 0},
        {"chunk": "t1", "index": 1},
        {"chunk": "t2", "index": 2},
    ]
    assert [data for _, name, data in events if name == "log"] == [{"source": "stdout", "data": "hm\n"}]
    assert events[-1][2]["output"] == ["t0", "t1", "t2"]


def test_a_stream_says_what_it_is(client: httpx.Client) -> None:
    with client.stream("POST", "/predictions", json={}, headers=EVENTS) as response:
        response.read()

    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.headers["cache-control"] == "no-cache"
    assert response.headers["x-accel-buffering"] == "no"


def test_tokens_arrive_while_the_prediction_runs(client: httpx.Client, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    values = {"count": 2, "gate": str(gate)}
    with client.stream("POST", "/predictions", json={"input": values}, headers=EVENTS) as response:
        events = read_events(response.iter_lines())
        first = [next(events)[1] for _ in range(3)]
        gate.touch()
        rest = [name for _, name, _ in events]

    assert first == ["start", "output", "output"]
    assert rest == ["output", "completed"]


def test_the_same_prediction_without_a_stream_has_all_items_in_a_list(client: httpx.Client) -> None:
    answer = client.post("/predictions", json={"input": {"count": 3}}).json()

    assert answer["output"] == ["t0", "t1", "t2"]


def test_a_stream_that_fails_ends_with_what_there_was(client: httpx.Client) -> None:
    events = stream(client, fail_at=2)

    assert chunks(events) == ["t0", "t1"]
    assert (events[-1][1], events[-1][2]["status"]) == ("completed", "failed")
    assert events[-1][2]["error"] == "RuntimeError: told to"


def test_a_stream_that_the_server_cannot_send_ends_with_an_error_event(
    start_server: StartServer, tmp_path: Path
) -> None:
    (tmp_path / "predict.py").write_text(textwrap.dedent(CODE))
    (tmp_path / "servekit.yaml").write_text("predictor: predict.py:Predictor\n")
    # No client can bring this about, so the fault is put in.
    program = (sys.executable, "-c", WITH_A_FAULT, f"--spec={tmp_path}")
    faulty = start_server.adopt(tmp_path, *program, "--host=127.0.0.1", "--port=0", "--isolation=thread")
    faulty.wait_until_ready()
    gate = tmp_path / "gate"
    values = {"count": 2, "gate": str(gate)}
    with faulty.client() as client:
        with client.stream("PUT", "/predictions/cut", json={"input": values}, headers=EVENTS) as response:
            events = read_events(response.iter_lines())
            before = [next(events)[1] for _ in range(3)]
            gate.touch()
            rest = list(events)
        after = client.put("/predictions/cut", headers={"Prefer": "wait=30"}).json()

    assert before == ["start", "output", "output"]
    assert [(number, name) for number, name, _ in rest] == [(2, "error")]
    assert "cannot send the rest" in rest[0][2]["error"]
    assert (after["status"], after["output"]) == ("succeeded", ["t0", "t1", "end"])
    assert any("a fault of the server" in str(line) for line in faulty.log)


def test_a_hundred_thousand_tokens_arrive_each_once(client: httpx.Client) -> None:
    events = stream(client, count=100_000)

    assert chunks(events) == [f"t{number}" for number in range(100_000)]


def test_a_silent_stream_is_kept_alive(client: httpx.Client, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    values = {"count": 0, "gate": str(gate)}
    with client.stream("POST", "/predictions", json={"input": values}, headers=EVENTS) as response:
        comments = 0
        for line in response.iter_lines():
            comments += line == ": keep-alive"
            if comments == 2:
                gate.touch()

    assert comments >= 2


def test_a_get_attaches_to_a_running_prediction(client: httpx.Client, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    start(client, "attached", gate)
    with client.stream("GET", "/predictions/attached", headers=EVENTS) as response:
        events = read_events(response.iter_lines())
        before = [next(events) for _ in range(4)]
        gate.touch()
        after = list(events)

    assert chunks(before) == ["t0", "t1", "t2"]
    assert chunks(after) == ["end"]


def test_a_get_of_a_finished_prediction_replays_it(client: httpx.Client) -> None:
    events = stream(client, count=5)
    name = events[0][2]["id"]

    with client.stream("GET", f"/predictions/{name}", headers=EVENTS) as response:
        replayed = list(read_events(response.iter_lines()))

    assert replayed == events


@pytest.mark.parametrize("last", [0, 3, 5])
def test_a_reader_resumes_after_the_last_event_it_saw(client: httpx.Client, last: int) -> None:
    events = stream(client, count=5)
    name = events[0][2]["id"]

    headers = {**EVENTS, "Last-Event-ID": str(last)}
    with client.stream("GET", f"/predictions/{name}", headers=headers) as response:
        rest = list(read_events(response.iter_lines()))

    assert rest == events[last + 1 :]


def test_a_reader_that_has_seen_everything_is_told_not_to_come_back(client: httpx.Client) -> None:
    events = stream(client)
    name, last = events[0][2]["id"], events[-1][0]

    response = client.get(f"/predictions/{name}", headers={**EVENTS, "Last-Event-ID": str(last)})

    assert response.status_code == 204


@pytest.mark.parametrize("last", ["x", "-1", "1000000", "1.5"])
def test_a_wrong_last_event_id_is_a_400(client: httpx.Client, last: str) -> None:
    name = stream(client)[0][2]["id"]

    response = client.get(f"/predictions/{name}", headers={**EVENTS, "Last-Event-ID": last})

    assert response.status_code == 400
    assert "numbered from 0" in response.json()["detail"]


def test_a_second_put_joins_the_stream(client: httpx.Client, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    start(client, "joined", gate)
    with client.stream("PUT", "/predictions/joined", json={}, headers=EVENTS) as response:
        gate.touch()
        events = list(read_events(response.iter_lines()))

    assert chunks(events) == ["t0", "t1", "t2", "end"]


@pytest.mark.parametrize("attempt", range(10))
@pytest.mark.parametrize("accept", ["text/event-stream", "application/json"])
def test_a_client_that_goes_cancels_its_prediction(server: Server, tmp_path: Path, accept: str, attempt: int) -> None:
    name = f"gone-{accept[:4]}-{attempt}-{tmp_path.name}"[:100]
    gate = tmp_path / "gate"
    connection = connect(server, name, accept, gate=str(gate), count=3)
    if accept == "text/event-stream; charset=utf-8":
        assert b"200 OK" in connection.recv(1000)
    wait_until(Path(f"{gate}.started").exists)

    connection.close()

    assert wait_for(server, name) == "canceled: the client disconnected"
    wait_until(lambda: Path(f"{gate}.error").exists() and Path(f"{gate}.error").read_text() == "CancelledError")


def test_an_attached_reader_that_goes_cancels_nothing(server: Server, client: httpx.Client, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    start(client, "watched", gate)
    with client.stream("GET", "/predictions/watched", headers=EVENTS) as response:
        next(response.iter_lines())
    server.wait_for(lambda line: line.get("prediction") == "watched" and line.get("status") == 499)

    gate.touch()

    done = client.put("/predictions/watched", headers={"Prefer": "wait=30"}).json()
    assert done["status"] == "succeeded"


def test_an_async_prediction_outlives_its_client(server: Server, client: httpx.Client, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    url = httpx.URL(server.url)
    body = json.dumps({"input": {"gate": str(gate)}}).encode()
    with socket.create_connection((url.host, url.port), 30) as connection:
        connection.sendall(
            b"PUT /predictions/orphan HTTP/1.1\r\nHost: x\r\nPrefer: respond-async\r\nAccept: text/event-stream\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        )
        assert b"200 OK" in connection.recv(1000)
    server.wait_for(lambda line: line.get("prediction") == "orphan" and line.get("status") == 499)

    gate.touch()

    assert client.put("/predictions/orphan", headers={"Prefer": "wait=30"}).json()["status"] == "succeeded"


def test_a_slow_reader_slows_the_generator_and_loses_nothing(
    server: Server, client: httpx.Client, tmp_path: Path
) -> None:
    count, size = 5_000, 10_000
    name = f"slow-{tmp_path.name}"[:100]

    body = {"input": {"count": count, "size": size}}
    stream = client.stream("PUT", f"/predictions/{name}", json=body, headers=EVENTS)
    with server.client() as other, stream as response:

        def produced() -> int:
            # Asking for what cannot be there yet is the cheapest way to hear how much is.
            answer = other.get(f"/predictions/{name}", headers={**EVENTS, "Last-Event-ID": "1000000"}).json()
            return int(re.findall(r"has had (\d+) events", answer["detail"])[0])

        wait_until(lambda: produced() > 1 and is_steady(produced))
        held_back = produced()
        events = list(read_events(response.iter_lines()))

    assert 1 < held_back < count // 2
    assert [data["index"] for _, name, data in events if name == "output"] == list(range(count))


def is_steady(value: Callable[[], int]) -> bool:
    before = value()
    time.sleep(0.5)
    return value() == before


def test_a_reader_that_takes_nothing_is_given_up(start_server: StartServer) -> None:
    server = start_server(CODE, stall_timeout="500ms")
    with connect(server, "stalled", count=5_000, size=10_000):
        error = wait_for(server, "stalled")
        line = server.wait_for(lambda line: line["event"] == "request" and line.get("prediction") == "stalled")

    assert error == "canceled: the client read nothing for 0.5 seconds"
    assert line["status"] == 499
    assert not any(line["level"] == "error" for line in server.log)
