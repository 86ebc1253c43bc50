"""Clients and models that try, or happen, to bring a server down."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from serving import Server, StartServer

DEADLINE_SECONDS = 30.0
CODE = """
    import os
    import threading

    import servekit

    class Predictor:
        def predict(self, kind: str = "", file: servekit.Path | None = None) -> str:
            if kind == "raise":
                raise ValueError("x" * 2_000_000)
            if kind == "flood":
                threading.Thread(target=self.flood).start()
            return "ok"

        def flood(self) -> None:
            for _ in range(500):
                os.write(1, b"spam\\n" * 100)
"""
DISK_BYTES = 1_000_000
ON_A_SMALL_DISK = f"""
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, ({DISK_BYTES}, {DISK_BYTES}))
from servekit.server.program import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def server(start_server: StartServer) -> Server:
    return start_server(CODE, stall_timeout=0.5)


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


def exchange(server: Server, request: bytes) -> tuple[int, Any]:
    """Send bytes as they are, and return status and body of the answer."""
    url = httpx.URL(server.url)
    with socket.create_connection((url.host, url.port), DEADLINE_SECONDS) as connection:
        connection.sendall(request)
        with connection.makefile("rb") as answer:
            status = int(answer.readline().split()[1])
            headers = dict(line.strip().lower().split(b": ", 1) for line in iter(answer.readline, b"\r\n"))
            return status, json.loads(answer.read(int(headers[b"content-length"])))


def test_a_log_that_nobody_reads_stops_neither_answers_nor_the_end(tmp_path: Path) -> None:
    (tmp_path / "predict.py").write_text("def predict() -> str:\n    return 'ok'\n")
    (tmp_path / "servekit.yaml").write_text("predictor: predict.py:predict\n")
    command = (sys.executable, "-m", "servekit.server", f"--spec={tmp_path}", "--host=127.0.0.1", "--port=0")
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        try:
            assert process.stderr is not None
            url = next(line["url"] for line in map(json.loads, process.stderr) if "url" in line)

            with httpx.Client(base_url=url, timeout=DEADLINE_SECONDS) as client:
                statuses = {client.get(f"/{'x' * 8000}").status_code for _ in range(60)}
            process.send_signal(signal.SIGTERM)

            assert (statuses, process.wait(DEADLINE_SECONDS)) == ({404}, 0)
        finally:
            process.kill()


def test_headers_without_end_are_a_431(server: Server) -> None:
    status, body = exchange(server, b"GET /livez HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 70_000)

    assert status == 431
    assert "headers" in body["detail"]


@pytest.mark.parametrize("kind", [b"application/json", b"multipart/form-data; boundary=x"])
def test_a_body_that_does_not_come_is_a_408(server: Server, kind: bytes) -> None:
    head = b"POST /predictions HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\nContent-Type: " + kind

    status, body = exchange(server, head + b"\r\n\r\n--x\r\n")

    assert status == 408
    assert "serve.stall_timeout" in body["detail"]


@pytest.mark.parametrize("text", ["0" * 19 + "1" + "9" * 5000, "1" + "9" * 30, "9" * 19, "0" * 20 + "1"])
@pytest.mark.parametrize("name", ["limit", "cursor"])
def test_a_number_with_too_many_digits_is_a_422(client: httpx.Client, name: str, text: str) -> None:
    response = client.get("/predictions", params={name: text})

    assert response.status_code == 422
    assert response.json()["detail"][0]["loc"] == ["query", name]


@pytest.mark.parametrize("path", ["/predictions%2Fabc", "/%70redictions/abcd", "/%70redictions"])
def test_a_path_that_only_decodes_to_predictions_is_a_404(server: Server, path: str) -> None:
    status, _ = exchange(server, b"PUT %b HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}" % path.encode())

    assert status == 404


def test_an_upload_that_finds_no_place_is_a_507_and_leaves_nothing(start_server: StartServer, tmp_path: Path) -> None:
    (tmp_path / "predict.py").write_text(
        "import servekit\ndef predict(file: servekit.Path) -> int:\n    return file.stat().st_size\n"
    )
    (tmp_path / "servekit.yaml").write_text("predictor: predict.py:predict\n")
    (tmp_path / "tmp").mkdir()
    command = ("env", f"TMPDIR={tmp_path / 'tmp'}", sys.executable, "-c", ON_A_SMALL_DISK)
    server = start_server.adopt(tmp_path, *command, f"--spec={tmp_path}", "--host=127.0.0.1", "--port=0")
    server.wait_until_ready()

    with server.client() as client:
        large, small = (
            client.post("/predictions", files={"file": b"a" * size}) for size in (4 * DISK_BYTES, DISK_BYTES // 2)
        )

    assert (large.status_code, small.json()["output"]) == (507, DISK_BYTES // 2)
    assert "temporary folder" in large.json()["detail"]
    # os.walk minds it least when a folder goes while it looks.
    wait_until(lambda: not any("upload" in names for _, _, names in os.walk(tmp_path)))


def test_a_huge_error_is_logged_once_and_cut(server: Server, client: httpx.Client) -> None:
    client.put("/predictions/huge", json={"input": {"kind": "raise"}})

    def is_end(line: dict[str, Any]) -> bool:
        return line["event"] == "prediction ended" and line.get("prediction") == "huge"

    end = server.wait_for(is_end)
    raised = server.wait_for(lambda line: line["event"] == "prediction raised")
    assert "error" not in end
    assert len(raised["traceback"]) < 20_000
    assert "characters were cut" in raised["traceback"]


def test_a_flood_of_output_is_cut_and_the_cut_is_counted(server: Server, client: httpx.Client) -> None:
    client.post("/predictions", json={"input": {"kind": "flood"}})

    notice = server.wait_for(lambda line: "left out" in line["event"])

    assert notice["lines"] > 10_000
    assert sum(line["event"] == "spam" for line in server.log) < 40_000


def test_a_stream_for_http_1_0_is_refused(server: Server) -> None:
    request = b"POST /predictions HTTP/1.0\r\nAccept: text/event-stream\r\nContent-Length: 2\r\n\r\n{}"

    status, body = exchange(server, request)

    assert status == 505
    assert "HTTP/1.1" in body["detail"]


def test_http_1_0_gets_whole_answers(server: Server) -> None:
    status, body = exchange(server, b"POST /predictions HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}")

    assert (status, body["output"]) == (200, "ok")


@pytest.mark.parametrize("number", [1 << 64, -(1 << 63) - 1, 10**30])
def test_a_number_in_the_context_beyond_64_bits_is_a_422(client: httpx.Client, number: int) -> None:
    response = client.post("/predictions", json={"context": {"a": 1, "b": [number]}})

    assert response.status_code == 422
    assert response.json()["detail"][0]["loc"] == ["body", "context", "b"]


@pytest.mark.parametrize("number", [(1 << 64) - 1, -(1 << 63)])
def test_a_number_of_64_bits_in_the_context_is_taken(client: httpx.Client, number: int) -> None:
    response = client.post("/predictions", json={"context": {"a": number}})

    assert response.json()["output"] == "ok"


def wait_until(condition: Callable[[], bool]) -> None:
    """Files are removed in the background."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
