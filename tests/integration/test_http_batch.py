"""Many inputs in one request, as clients see them."""

import json
import socket
import sys
import textwrap
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from serving import DEADLINE_SECONDS, Server, StartServer, wait_until

CODE = """
    import asyncio
    from pathlib import Path

    from servekit import current_scope

    class Predictor:
        async def predict(self, name: str = "", gate: str = "", size: int = 0, fails: bool = False) -> str:
            if fails:
                raise RuntimeError("told to")
            if name:
                with Path(__file__).with_name("began").open("a") as file:
                    print(name, file=file)
            while gate and not Path(gate).exists():
                await asyncio.sleep(0.001)
            return str(current_scope().context.get("prefix", "")) + name + "x" * size
"""
URL = "/predictions/batch"
NOTHING: dict[str, Any] = {}
LINES = {"Accept": "application/jsonl"}
EVENTS = {"Accept": "text/event-stream"}
ASYNC = {"Prefer": "respond-async"}


@pytest.fixture(scope="module")
def server(start_server: StartServer) -> Server:
    """A server with two slots, and room for two in its queue."""
    return start_server(CODE, concurrency=2, queue={"max": 2, "ageing": "1h"}, max_inputs=5000, keep_alive="100ms")


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    (server.root / "began").write_text("")
    with server.client() as client:
        yield client


def began(server: Server) -> list[str]:
    return (server.root / "began").read_text().split()


def read_lines(response: httpx.Response) -> Iterator[dict[str, Any]]:
    return (json.loads(line) for line in response.iter_lines())


def outline(results: list[dict[str, Any]]) -> list[tuple[int, str, Any]]:
    return [(each["index"], each["status"], each["output"]) for each in results]


# ---------------------------------------------------------------------- what is answered


def test_the_answer_is_one_document_in_the_order_of_the_inputs(client: httpx.Client, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    body = {"inputs": [{"name": "a", "gate": str(gate)}, {"name": "b"}, {"name": "c"}], "context": {"prefix": "p-"}}
    threading.Timer(0.2, gate.touch).start()  # b and c have ended long before, and a keep-alive has been sent

    response = client.post(URL, json=body)

    assert response.headers["content-type"] == "application/json"
    results = response.json()["results"]
    assert outline(results) == [(0, "succeeded", "p-a"), (1, "succeeded", "p-b"), (2, "succeeded", "p-c")]
    assert client.get(f"/predictions/{results[1]['id']}").json() == {
        key: value for key, value in results[1].items() if key != "index"
    }


def test_lines_come_as_predictions_end(client: httpx.Client, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    body = {"inputs": [{"name": "slow", "gate": str(gate)}, {"name": "quick"}]}

    with client.stream("POST", URL, json=body, headers=LINES) as response:
        results = read_lines(response)
        first = next(results)
        gate.touch()
        rest = list(results)

    assert response.headers["content-type"] == "application/jsonl"
    assert outline([first, *rest]) == [(1, "succeeded", "quick"), (0, "succeeded", "slow")]


def test_lines_are_answered_with_lines(client: httpx.Client) -> None:
    body = b'\xef\xbb\xbf{"name": "a"}\r\n\n {"name": \t"b"} \n{"name": \nnull\n{"name": "c"}'

    response = client.post(URL, content=body, headers={"Content-Type": "application/x-ndjson; charset=utf-8"})

    assert response.headers["content-type"] == "application/x-ndjson"
    results = sorted(map(json.loads, response.text.splitlines()), key=lambda each: each["index"])
    assert [each["output"] for each in results] == ["a", "b", None, None, "c"]
    assert [each["detail"][0]["loc"] for each in results[2:4]] == [["body", "inputs", 2], ["body", "inputs", 3]]
    assert "not valid JSON" in results[2]["error"]


def test_events_are_numbered_and_end_with_the_counts(client: httpx.Client) -> None:
    body = {"inputs": [{"name": "a"}, {"fails": True}, {"nmae": "b"}]}

    text = client.post(URL, json=body, headers=EVENTS).text

    events = [dict(line.split(": ", 1) for line in event.splitlines()) for event in text.strip().split("\n\n")]
    assert [(event["id"], event["event"]) for event in events] == [
        ("0", "result"), ("1", "result"), ("2", "result"), ("3", "completed"),
    ]  # fmt: skip
    assert {json.loads(event["data"])["index"] for event in events[:3]} == {0, 1, 2}
    assert json.loads(events[3]["data"]) == {"total": 3, "succeeded": 1, "failed": 2}


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("*/*", "application/json"),
        ("application/json;q=0.5, application/jsonl", "application/jsonl"),
        ("text/event-stream, application/jsonl", "text/event-stream; charset=utf-8"),
    ],
)
def test_accept_says_which_form_the_answer_has(client: httpx.Client, accept: str, kind: str) -> None:
    response = client.post(URL, json={"inputs": []}, headers={"Accept": accept})

    assert response.headers["content-type"] == kind


def test_no_inputs_have_no_results(client: httpx.Client) -> None:
    assert client.post(URL, json={"inputs": []}).json() == {"results": []}


def test_an_input_that_does_not_fit_has_its_problems_and_the_others_run(client: httpx.Client) -> None:
    results = client.post(URL, json={"inputs": [{"name": 7}, {"name": "a"}, 5]}).json()["results"]

    assert outline(results) == [(0, "failed", None), (1, "succeeded", "a"), (2, "failed", None)]
    assert results[0]["id"] is None
    assert results[0]["error"].startswith("input.name: expected a string")
    assert [each["loc"] for each in results[0]["detail"]] == [["body", "inputs", 0, "name"]]


# ---------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("body", "loc", "message"),
    [
        (NOTHING, [], "missing required field `inputs`"),
        ({"inputs": {"name": "a"}}, ["inputs"], "Expected `array`, got `object`"),
        ({"input": NOTHING}, ["input"], 'unknown key; did you mean "inputs"?'),
        ({"inputs": [], "webhook": "https://x.org"}, ["webhook"], "a batch has no webhook: its results come in its"),
        ({"inputs": [], "id": "x"}, ["id"], "an input of a batch gets its id from the server"),
        ({"inputs": [], "name": "a"}, ["name"], 'unknown key; known are "inputs", "context",'),
        ({"inputs": [], "priority": 11}, ["priority"], "expected a whole number from -10 to 10"),
        ({"inputs": [], "timeout": 0}, ["timeout"], "expected a number of seconds or a duration"),
        ({"inputs": [], "context": {"a": 1 << 80}}, ["context", "a"], "expected whole numbers of 64 bits at most"),
        ({"inputs": [NOTHING] * 5001}, ["inputs"], "the request has 5001 inputs, and may have 5000 (serve.max_inputs)"),
    ],
)
def test_a_body_that_does_not_fit_is_a_422_for_the_whole(
    client: httpx.Client, body: dict[str, Any], loc: list[str], message: str
) -> None:
    response = client.post(URL, json=body)

    assert response.status_code == 422
    problem = response.json()["detail"][0]
    assert problem["loc"] == ["body", *loc]
    assert message in problem["msg"]


@pytest.mark.parametrize(
    ("headers", "content", "status", "message"),
    [
        ({}, b'{"inputs": [', 400, "the request body is not valid JSON"),
        (ASYNC, b'{"inputs": []}', 400, "Prefer: respond-async is not possible for a batch"),
        ({"Prefer": "wait=5"}, b'{"inputs": []}', 400, "Prefer: wait=5 is not possible for a batch"),
        ({"Content-Type": "text/csv"}, b"name", 415, "the Content-Type is 'text/csv'"),
    ],
)
def test_a_request_that_cannot_be_answered_is_refused(
    client: httpx.Client, headers: dict[str, str], content: bytes, status: int, message: str
) -> None:
    response = client.post(URL, content=content, headers=headers)

    assert response.status_code == status
    assert response.json()["detail"].startswith(message)


def test_for_other_methods_batch_is_an_id(client: httpx.Client) -> None:
    made = client.put(URL, json={"input": {"name": "a"}})

    assert (made.status_code, made.json()["id"]) == (200, "batch")
    assert client.get(URL).json() == made.json()


# ---------------------------------------------------------------------- how it is admitted


def test_more_inputs_than_the_queue_holds_all_have_their_results(server: Server, client: httpx.Client) -> None:
    count = 2000

    with client.stream("POST", URL, json={"inputs": [{"name": str(n)} for n in range(count)]}, headers=LINES) as answer:
        outputs = Counter((each["index"], each["output"]) for each in read_lines(answer))

    assert outputs == Counter((number, str(number)) for number in range(count))
    assert Counter(began(server)) == Counter(str(number) for number in range(count))
    assert server.wait_for(lambda line: line.get("inputs") == count)["status"] == 200


def test_a_batch_leaves_room_for_single_requests_and_lets_them_go_first(
    server: Server, client: httpx.Client, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    inputs = [{"name": f"batch{number}", "gate": str(gate)} for number in range(20)]

    with client.stream("POST", URL, json={"inputs": inputs}, headers=LINES) as response, server.client() as other:
        wait_until(lambda: count_live(other) == 3)  # two slots, and half of the queue
        single = other.post("/predictions", json={"input": {"name": "single"}}, headers=ASYNC)
        gate.touch()
        results = list(read_lines(response))

    assert single.status_code == 202
    assert len(results) == 20
    assert began(server)[2] == "single"  # though the third of the batch has waited for longer


def count_live(client: httpx.Client) -> int:
    live = ("starting", "processing")
    return sum(each["status"] in live for each in client.get("/predictions?limit=1000").json()["results"])


def test_batches_take_turns(server: Server, client: httpx.Client, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    first, second = ({"inputs": [{"name": name, "gate": str(gate)}] * 20} for name in ("first", "second"))

    with client.stream("POST", URL, json=first, headers=LINES) as one, server.client() as other:
        wait_until(lambda: count_live(other) == 3)
        with other.stream("POST", URL, json=second, headers=LINES) as two:
            gate.touch()
            assert len(list(read_lines(one))) == len(list(read_lines(two))) == 20

    order = began(server)
    assert order[:3] == ["first"] * 3
    assert order[3:23].count("first") == order[3:23].count("second") == 10


def test_one_of_a_batch_can_be_canceled(server: Server, client: httpx.Client, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    inputs = [{"name": "a", "gate": str(gate)}, {"name": "b", "gate": str(tmp_path / "never")}]

    with client.stream("POST", URL, json={"inputs": inputs}, headers=LINES) as response, server.client() as other:
        wait_until(lambda: len(began(server)) == 2)
        newest = other.get("/predictions?limit=1").json()["results"][0]
        other.post(f"/predictions/{newest['id']}/cancel")
        results = read_lines(response)
        first = next(results)
        gate.touch()
        last = next(results)

    assert outline([first, last]) == [(1, "canceled", None), (0, "succeeded", "a")]


def test_the_timeout_holds_for_the_whole_request(client: httpx.Client, tmp_path: Path) -> None:
    inputs = [{"name": "a"}, *[{"gate": str(tmp_path / "never")}] * 10]

    results = client.post(URL, json={"inputs": inputs, "timeout": "300ms"}).json()["results"]

    assert [each["status"] for each in results] == ["succeeded", *["failed"] * 10]
    assert {each["error"] for each in results[1:]} == {
        "timed out: it took longer than 0.3 seconds (timeout of the request)"
    }


def test_a_batch_that_gets_no_slot_in_time_ends(client: httpx.Client, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    for _ in range(2):
        client.post("/predictions", json={"input": {"name": "x", "gate": str(gate)}}, headers=ASYNC)

    results = client.post(URL, json={"inputs": [{"name": "a"}] * 4, "queue_timeout": 0.2}).json()["results"]

    gate.touch()
    wait_until(lambda: count_live(client) == 0)
    assert {(each["status"], each["error"]) for each in results} == {
        ("canceled", "canceled: no slot became free within 0.2 seconds (queue_timeout of the request)")
    }


# ---------------------------------------------------------------------- clients that go, or do not read


def ask(server: Server, inputs: list[dict[str, Any]], version: bytes = b"1.1") -> socket.socket:
    """Send a batch, and return the connection with its answer still to be read."""
    address = httpx.URL(server.url)
    body = json.dumps({"inputs": inputs}).encode()
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(DEADLINE_SECONDS)
    connection.connect((address.host, address.port or 0))
    head = b"POST /predictions/batch HTTP/%b\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
    connection.sendall(head % (version, len(body)) + body)
    return connection


def test_a_client_that_goes_cancels_what_runs_and_nothing_more_begins(
    server: Server, client: httpx.Client, tmp_path: Path
) -> None:
    connection = ask(server, [{"name": str(number), "gate": str(tmp_path / "never")} for number in range(20)])
    wait_until(lambda: len(began(server)) == 2)

    connection.close()

    wait_until(lambda: count_live(client) == 0)
    assert sorted(began(server)) == ["0", "1"]
    newest = client.get("/predictions?limit=3").json()["results"]
    assert {each["error"] for each in newest} == {"canceled: the client disconnected"}
    assert server.wait_for(lambda line: line.get("inputs") == 20 and line["status"] == 499)


def test_a_client_that_reads_slowly_slows_the_batch_down(server: Server, client: httpx.Client) -> None:
    with ask(server, [{"name": "n", "size": 1_000_000} for _ in range(30)]) as connection:
        wait_until(lambda: bool(began(server)) and count_live(client) == 0)
        begun_unread = len(began(server))
        while b"]}" not in connection.recv(1 << 20)[-16:]:
            pass

    assert begun_unread < 15
    assert len(began(server)) == 30


def test_http_1_0_is_refused_with_the_way_out(server: Server) -> None:
    with ask(server, [], version=b"1.0") as connection:
        assert b" 505 " in connection.recv(100)


# ---------------------------------------------------------------------- other servers


def test_a_batch_under_way_when_the_server_stops_finishes_what_it_has_begun(
    start_server: StartServer, tmp_path: Path
) -> None:
    server, gate = start_server(CODE, isolation="thread"), tmp_path / "gate"
    inputs = [{"name": str(number), "gate": str(gate)} for number in range(5)]
    with server.client() as client, client.stream("POST", URL, json={"inputs": inputs}, headers=LINES) as response:
        with server.client() as other:
            wait_until(lambda: count_live(other) == 2)  # one runs, one waits
        server.process.terminate()
        server.wait_for(lambda line: line["event"].startswith("shutting down"))
        gate.touch()
        results = sorted(read_lines(response), key=lambda each: each["index"])

    assert server.wait() == 0
    assert outline(results[:2]) == [(0, "succeeded", "0"), (1, "succeeded", "1")]
    assert [each["error"] for each in results[2:]] == ["canceled: the server is shutting down"] * 3


@pytest.fixture(scope="module")
def strict_server(start_server: StartServer) -> Server:
    """A server that allows callers little, and gives clients that do not read up soon."""
    return start_server(CODE, concurrency=8, caller={"max": 2}, stall_timeout="300ms", isolation="thread")


def test_callers_that_may_have_few_wait_for_their_own(strict_server: Server) -> None:
    with strict_server.client() as client:
        results = client.post(URL, json={"inputs": [{"name": "a"}] * 50}).json()["results"]

    assert {each["status"] for each in results} == {"succeeded"}


def test_a_client_that_reads_nothing_is_given_up(strict_server: Server) -> None:
    with ask(strict_server, [{"size": 1_000_000} for _ in range(30)]), strict_server.client() as client:
        strict_server.wait_for(lambda line: line.get("inputs") == 30 and line["status"] == 499)

        wait_until(lambda: count_live(client) == 0)


WITH_A_FAULT = """
import sys
from servekit.server import program
from servekit.server.batch import run

def show_with_a_fault(index, prediction):
    raise RuntimeError("a fault of the server")

run.show_prediction = show_with_a_fault
sys.exit(program.main(sys.argv[1:]))
"""


def test_a_fault_of_the_server_breaks_the_answer_off(start_server: StartServer, tmp_path: Path) -> None:
    (tmp_path / "predict.py").write_text(textwrap.dedent(CODE))
    (tmp_path / "servekit.yaml").write_text("predictor: predict.py:Predictor")
    # No client can bring this about, so the fault is put in.
    flags = (f"--spec={tmp_path}", "--host=127.0.0.1", "--port=0", "--isolation=thread")
    server = start_server.adopt(tmp_path, sys.executable, "-c", WITH_A_FAULT, *flags)
    server.wait_until_ready()

    with server.client() as client, pytest.raises(httpx.RemoteProtocolError):
        client.post(URL, json={"inputs": [{"name": "a"}, {"name": "b"}]})

    assert "a fault of the server" in server.wait_for(lambda line: "failed to answer" in line["event"])["traceback"]


def test_a_server_that_is_not_ready_says_so_at_once(start_server: StartServer) -> None:
    server = start_server("raise RuntimeError('no')", ready=False, isolation="thread")
    server.wait_for(lambda line: line["level"] == "error")
    with server.client() as client:
        response = client.post(URL, json={"inputs": [NOTHING]})

    assert response.status_code == 503
    assert response.headers["retry-after"]
