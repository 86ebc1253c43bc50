"""Who gets a slot, who waits and for how long, and who is turned away, as clients see it."""

import asyncio
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from serving import DEADLINE_SECONDS, Server, StartServer, wait_until

GATED = """
    import asyncio
    from pathlib import Path

    class Predictor:
        async def predict(self, name: str, gate: str = "") -> str:
            with Path("began").open("a") as file:
                print(name, file=file)
            while gate and not Path(gate).exists():
                await asyncio.sleep(0.001)
            return name
"""

ASYNC = {"Prefer": "respond-async"}


@pytest.fixture(scope="module")
def server(start_server: StartServer) -> Server:
    """A server with one slot."""
    return start_server(GATED, queue={"ageing": "1h"})


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    (server.root / "began").write_text("")
    with server.client() as client:
        yield client


def began(server: Server) -> list[str]:
    return (server.root / "began").read_text().split()


def post(client: httpx.Client, name: str, gate: Path | None = None, **terms: Any) -> httpx.Response:
    """Send a prediction, and do not wait for its end."""
    body = {"input": {"name": name, "gate": "" if gate is None else str(gate)}, **terms}
    response: httpx.Response = client.post("/predictions", json=body, headers=ASYNC)
    return response


def read(client: httpx.Client, response: httpx.Response) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"/predictions/{response.json()['id']}").json()
    return found


def test_those_that_wait_go_by_their_priority(server: Server, client: httpx.Client, tmp_path: Path) -> None:
    post(client, "first", tmp_path / "gate")
    waiting = [post(client, str(number), priority=priority) for number, priority in enumerate([0, -3, 10, 0])]

    (tmp_path / "gate").touch()
    wait_until(lambda: all(read(client, each)["status"] == "succeeded" for each in waiting))

    assert began(server) == ["first", "2", "0", "3", "1"]


@pytest.mark.parametrize("terms", [{"priority": 11}, {"priority": "high"}, {"timeout": 0}, {"queue_timeout": "soon"}])
def test_terms_that_do_not_fit_are_a_422_with_the_field(client: httpx.Client, terms: dict[str, Any]) -> None:
    response = post(client, "x", **terms)

    assert response.status_code == 422
    assert [problem["loc"] for problem in response.json()["detail"]] == [["body", *terms]]


def test_waiting_for_longer_than_the_request_wants_is_a_503_that_says_so(client: httpx.Client, tmp_path: Path) -> None:
    first = post(client, "first", tmp_path / "gate")

    response = client.post("/predictions", json={"input": {"name": "x"}, "queue_timeout": "50ms"})

    (tmp_path / "gate").touch()
    # The gate goes with the end of this test: a prediction that has not seen it by then keeps its slot for ever.
    wait_until(lambda: read(client, first)["status"] == "succeeded")
    assert response.status_code == 503
    assert response.json()["detail"] == "no slot became free within 0.05 seconds (queue_timeout of the request)"
    assert int(response.headers["retry-after"]) >= 1


def test_taking_longer_than_the_request_wants_fails_and_says_so(client: httpx.Client, tmp_path: Path) -> None:
    body = {"input": {"name": "x", "gate": str(tmp_path / "gate")}, "timeout": 0.05}

    answer = client.post("/predictions", json=body).json()

    assert answer["status"] == "failed"
    assert answer["error"] == "timed out: it took longer than 0.05 seconds (timeout of the request)"


def vanish(server: Server, kind: str, name: str) -> socket.socket:
    """Send a request whose client will go, and return its connection."""
    body = json.dumps({"input": {"name": name}}).encode()
    headers = {
        "plain": b"Content-Type: application/json\r\n",
        "stream": b"Content-Type: application/json\r\nAccept: text/event-stream\r\n",
        "patient": b"Content-Type: application/json\r\nPrefer: wait=600\r\n",
        "form": b"Content-Type: multipart/form-data; boundary=b\r\n",
    }
    if kind == "form":
        body = b'--b\r\nContent-Disposition: form-data; name="name"\r\n\r\n%b\r\n--b--\r\n' % name.encode()
    address = httpx.URL(server.url)
    connection = socket.create_connection((address.host, address.port or 0), DEADLINE_SECONDS)
    head = b"POST /predictions HTTP/1.1\r\nHost: x\r\n%bContent-Length: %d\r\n\r\n"
    connection.sendall(head % (headers[kind], len(body)) + body)
    return connection


@pytest.mark.parametrize("are_in_the_queue", [True, False], ids=["in the queue", "on the way to it"])
def test_clients_that_go_take_no_slot(
    server: Server, client: httpx.Client, tmp_path: Path, are_in_the_queue: bool
) -> None:
    for turn in range(1, 6):
        before, gate = count_gone(server), tmp_path / f"gate{turn}"
        first = post(client, "first", gate)
        connections = [vanish(server, kind, "gone") for kind in ("plain", "stream", "patient", "form") * 5]
        if are_in_the_queue:
            wait_until(lambda: count_starting(client) == 20)
        for connection in connections:
            connection.close()
        wait_until(lambda: count_gone(server) == before + 20)  # noqa: B023 - called at once
        assert count_starting(client) == 0
        gate.touch()
        wait_until(lambda: read(client, first)["status"] == "succeeded")  # noqa: B023 - called at once
        assert client.post("/predictions", json={"input": {"name": "last"}}).json()["output"] == "last"

    assert began(server) == ["first", "last"] * 5


def count_gone(server: Server) -> int:
    """Return how many requests have ended without their client."""
    return [line.get("status") for line in server.log].count(499)


def count_starting(client: httpx.Client) -> int:
    """Return how many predictions wait for a slot."""
    return [each["status"] for each in client.get("/predictions?limit=1000").json()["results"]].count("starting")


def ask_as(client: httpx.Client, key: str | None, gate: Path) -> httpx.Response:
    headers = ASYNC if key is None else {**ASYNC, "X-API-Key": key}
    body = {"input": {"name": "x", "gate": str(gate)}}
    response: httpx.Response = client.post("/predictions", json=body, headers=headers)
    return response


def test_one_caller_cannot_take_all(start_server: StartServer, tmp_path: Path) -> None:
    server, gate = start_server(GATED, concurrency=2, caller={"max": 3}, log_level="debug"), tmp_path / "gate"
    with server.client() as client:
        mine = [ask_as(client, "my-secret-key", gate) for _ in range(4)]
        others = [ask_as(client, key, gate) for key in ("another-secret-key", None, None, None, None)]
        form = client.post("/predictions", files={"name": (None, "x")}, headers={**ASYNC, "X-API-Key": "my-secret-key"})
        list_of_all = client.get("/predictions").text
        gate.touch()
        wait_until(lambda: all(read(client, each)["status"] == "succeeded" for each in mine[:3]))
        again = ask_as(client, "my-secret-key", gate)

    assert [each.status_code for each in mine] == [202, 202, 202, 429]
    assert [each.status_code for each in others] == [202, 202, 202, 202, 429]
    assert (form.status_code, again.status_code) == (429, 202)
    assert int(mine[3].headers["retry-after"]) >= 1
    assert mine[3].json()["detail"].startswith("this caller, by its X-API-Key header, has as many predictions")
    assert others[4].json()["detail"].startswith("callers without a X-API-Key header count as one")
    server.stop()
    assert "secret" not in f"{server.log}{list_of_all}{[each.text for each in mine]}"


def test_a_stream_that_is_refused_gives_the_caller_its_room_back(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server(GATED, caller={"max": 2}, queue={"timeout": "50ms"})
    me = {"X-API-Key": "me"}
    with server.client() as client:
        ask_as(client, "me", tmp_path / "gate")
        for _ in range(3):
            response = client.post("/predictions", json={"input": {"name": "x"}}, headers=me)
            assert response.status_code == 503


SLOW = """
    import asyncio

    class Predictor:
        async def predict(self, number: int) -> int:
            await asyncio.sleep(0.01)
            return number
"""


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, dict[bytes, bytes], Any]:
    """Read a whole answer: its status, its headers and its body."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower().split(b"\r\n")
    headers = dict(line.split(b": ", 1) for line in head[1:] if line)
    return int(head[0].split()[1]), headers, json.loads(await reader.readexactly(int(headers[b"content-length"])))


async def test_under_overload_every_answer_is_a_result_or_a_503(start_server: StartServer) -> None:
    server = start_server(SLOW, concurrency=8, queue={"max": 16})
    address = httpx.URL(server.url)
    statuses: list[int] = []

    async def keep_asking(client: int) -> None:
        reader, writer = await asyncio.open_connection(address.host, address.port)
        for number in range(10 * client, 10 * client + 10):
            body = b'{"input": {"number": %d}}' % number
            writer.write(b"POST /predictions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
            status, headers, answer = await read_answer(reader)
            statuses.append(status)
            if status == 200:
                assert (answer["status"], answer["output"]) == ("succeeded", number)
            else:
                assert answer == {"detail": "all slots are busy and 16 predictions wait already (serve.queue.max)"}
                assert 1 <= int(headers[b"retry-after"]) <= 600
        writer.close()

    async with asyncio.timeout(60):
        await asyncio.gather(*(keep_asking(client) for client in range(256)))

    assert set(statuses) == {200, 503}
    assert len(statuses) == 2560
    assert statuses.count(200) >= 24
    with server.client() as client:
        assert client.get("/health-check").json()["status"] == "READY"
