"""Clients that vanish at any stage of a request, at any state of a prediction: nothing of theirs is left."""

import contextlib
import json
import socket
import struct
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from serving import StartServer, wait_until
from soak.soaked import Census, SoakedServer

CODE = """
    import asyncio, os
    from collections.abc import AsyncIterator
    import servekit

    class Predictor:
        async def predict(self, act: str = "", file: servekit.Path | None = None) -> AsyncIterator[str]:
            (servekit.current_scope().temp_dir / "file").touch()
            if act == "large":
                yield "x" * 20_000_000
            if act == "die":
                try:
                    yield "last words"
                    await asyncio.sleep(60)
                finally:
                    os._exit(3)
            while act == "stream":
                yield "x" * 1000
                await asyncio.sleep(0.001)
            while act in ("wait", "stubborn"):
                try:
                    await asyncio.sleep(60)
                except asyncio.CancelledError:
                    if act == "wait":
                        raise
                    await asyncio.sleep(0.2)
                    return
            yield "done"
"""
SLOTS = 2
EVENTS = b"Accept: text/event-stream"


class Guest:
    """A client that knows how to leave."""

    def __init__(self, soaked: SoakedServer, name: str) -> None:
        self.soaked = soaked
        self.name = name
        self.api = soaked.server.client()
        self.connection = socket.create_connection(soaked.address, 20)

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def ask(self, act: str, *headers: bytes, before: bytes = b"") -> None:
        """Ask for a prediction, together with something before it, and wait until the server knows of it."""
        body = json.dumps({"input": {"act": act}}).encode()
        lines = b"".join(header + b"\r\n" for header in headers)
        self.send(before + self.head(len(body), lines) + body)
        wait_until(lambda: self.status != "")

    def head(self, length: int, lines: bytes = b"") -> bytes:
        line = f"PUT /predictions/{self.name} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n"
        return line.encode() + lines + b"\r\n"

    @property
    def status(self) -> str:
        response = self.api.get(f"/predictions/{self.name}")
        return str(response.json()["status"]) if response.status_code == 200 else ""

    @property
    def ends(self) -> list[str]:
        return [status for name, status, _ in self.soaked.ends if name == self.name]

    def receive(self, what: bytes) -> None:
        data = b""
        while what not in data:
            more = self.connection.recv(1000)
            assert more
            data += more

    def leave(self, *, rudely: bool) -> None:
        """Close the connection; rudely, what is on its way is thrown away and the other side told so (RST)."""
        if rudely:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.api.close()


def before_the_first_byte(guest: Guest) -> None:
    del guest


def in_the_request_line(guest: Guest) -> None:
    guest.send(b"PUT /predic")


def in_the_headers(guest: Guest) -> None:
    guest.send(guest.head(100)[:-4])


def in_the_body(guest: Guest) -> None:
    guest.send(guest.head(100) + b'{"input"')


def in_a_chunk_of_the_body(guest: Guest) -> None:
    guest.send(b"POST /predictions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n400\r\n{")


def in_an_upload(guest: Guest) -> None:
    part = b'--cut\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    guest.send(guest.head(10_000_000, b"Content-Type: multipart/form-data; boundary=cut\r\n") + part + b"x" * 3_000_000)


def while_it_waits_for_a_slot(guest: Guest) -> None:
    for _ in range(SLOTS):
        answer = guest.api.post("/predictions", json={"input": {"act": "stream"}}, headers={"Prefer": "respond-async"})
        assert answer.status_code == 202
    guest.ask("")
    assert guest.status == "starting"


def while_it_runs(guest: Guest) -> None:
    guest.ask("wait")


def while_its_code_does_not_stop(guest: Guest) -> None:
    guest.ask("stubborn")
    assert guest.api.post(f"/predictions/{guest.name}/cancel").status_code == 200


def in_the_head_of_a_stream(guest: Guest) -> None:
    guest.ask("stream", EVENTS)


def in_a_silent_stream(guest: Guest) -> None:
    guest.ask("wait", EVENTS)
    guest.receive(b"event: start")


def in_the_middle_of_a_stream(guest: Guest) -> None:
    guest.ask("stream", EVENTS)
    guest.receive(b"xxxx")


def in_a_stream_that_it_does_not_read(guest: Guest) -> None:
    guest.ask("large", EVENTS)
    wait_until(lambda: guest.status == "succeeded")


def in_a_large_answer(guest: Guest) -> None:
    guest.ask("large")
    guest.receive(b"xxxx")


def while_its_worker_dies(guest: Guest) -> None:
    guest.ask("die", EVENTS)
    guest.receive(b"last words")


def after_a_second_request(guest: Guest) -> None:
    first = guest.head(2).replace(guest.name.encode(), b"first-of-" + guest.name.encode())
    guest.ask("wait", before=first + b"{}")
    guest.receive(b'"done"')
    wait_until(lambda: guest.status == "processing")


STAGES: dict[Callable[[Guest], None], str | None] = {
    before_the_first_byte: None,
    in_the_request_line: None,
    in_the_headers: None,
    in_the_body: None,
    in_a_chunk_of_the_body: None,
    in_an_upload: None,
    while_it_waits_for_a_slot: "canceled",
    while_it_runs: "canceled",
    while_its_code_does_not_stop: "canceled",
    in_the_head_of_a_stream: "canceled",
    in_a_silent_stream: "canceled",
    in_the_middle_of_a_stream: "canceled",
    in_a_stream_that_it_does_not_read: "succeeded",
    in_a_large_answer: "succeeded",
    while_its_worker_dies: "canceled",
    after_a_second_request: "canceled",
}
"""How a client may leave, and how its prediction ends, if there is one."""


@pytest.fixture(scope="module")
def soaked(start_server: StartServer, tmp_path_factory: pytest.TempPathFactory) -> SoakedServer:
    """A server that tells what it holds."""
    root = tmp_path_factory.mktemp("vanishing")
    (root / "tmp").mkdir()
    (root / "predict.py").write_text(textwrap.dedent(CODE))
    serve = {"concurrency": SLOTS, "history": {"ttl": 1}, "log_format": "json", "cancel_grace": 5, "timeout": 15}
    (root / "servekit.yaml").write_text(yaml.safe_dump({"predictor": "predict.py:Predictor", "serve": serve}))
    variables = (f"TMPDIR={root / 'tmp'}", f"PYTHONPATH={Path(__file__).parent.parent / 'support'}")
    program = (sys.executable, "-m", "soak.program", str(root), f"--spec={root}", "--host=127.0.0.1", "--port=0")
    server = start_server.adopt(root, "env", *variables, *program)
    server.wait_until_ready()
    with server.client() as client:  # what is made at first use, or in the background after the start, is there then
        assert client.get("/openapi.json").status_code == 200
        client.post("/predictions", json={"input": {"act": ""}})
        client.post("/predictions", json={"input": {"act": ""}}, headers={"Accept": "text/event-stream"})
    return SoakedServer(server, root)


@pytest.fixture(scope="module")
def before(soaked: SoakedServer) -> Census:
    wait_until(lambda: soaked.take_census().files == [])
    return soaked.take_census()


@pytest.mark.usefixtures("before")
@pytest.mark.parametrize("rudely", [False, True], ids=["close", "reset"])
@pytest.mark.parametrize("stage", STAGES)
def test_a_prediction_ends_once_when_its_client_vanishes(
    soaked: SoakedServer, stage: Callable[[Guest], None], rudely: bool
) -> None:
    guest = Guest(soaked, f"{stage.__name__}-{rudely}")
    stage(guest)

    guest.leave(rudely=rudely)

    status = STAGES[stage]
    if status is not None:
        wait_until(lambda: guest.ends != [])
    with soaked.server.client() as client:
        for each in client.get("/predictions").json()["results"]:  # those that held the slots, if there are any
            client.post(f"/predictions/{each['id']}/cancel")
        assert client.post("/predictions", json={}).json()["output"] == ["done"]
    assert guest.ends == ([] if status is None else [status])


def test_nothing_is_left_of_those_who_vanished(soaked: SoakedServer, before: Census) -> None:
    with contextlib.suppress(AssertionError):
        wait_until(lambda: soaked.take_census().differences(before) == [])
    assert soaked.take_census().differences(before) == []


@pytest.mark.usefixtures("before")
def test_clients_that_vanish_are_no_errors_in_the_log(soaked: SoakedServer) -> None:
    for number in range(200):  # the news that it is gone is read soon after its request, in that turn or the next
        with socket.create_connection(soaked.address, 20) as connection:
            line = f"PUT /predictions/logged-{number} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
            connection.sendall(line.encode() + EVENTS + b"\r\n\r\n{}")

    soaked.server.wait_for(lambda line: line.get("path") == "/predictions/logged-199")
    errors = [line for line in soaked.server.log if line["level"] not in ("debug", "info", "warning")]
    assert [line for line in errors if "worker died" not in line["event"]] == []
