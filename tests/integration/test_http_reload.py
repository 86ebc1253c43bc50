"""How a running server gets new code: by a signal, and by a request."""

import os
import pty
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from serving import DEADLINE_SECONDS, Server, StartServer

CODE = "def predict() -> str:\n    return 'old'\n"
BROKEN = "def predict(\n"


@pytest.fixture
def server(start_server: StartServer) -> Server:
    return start_server(CODE, predictor="predict.py:predict", allow_reload=True, workers=2)


def predict(client: httpx.Client) -> str:
    return str(client.post("/predictions", json={}).json()["output"])


def change(server: Server, code: str) -> None:
    (server.root / "predict.py").write_text(code)


def test_sighup_brings_new_code(server: Server) -> None:
    with server.client() as client:
        change(server, CODE.replace("old", "new"))
        server.process.send_signal(signal.SIGHUP)
        server.wait_for(lambda line: line["event"] == "reloaded")

        assert {predict(client) for _ in range(4)} == {"new"}


def test_a_request_brings_new_code_and_is_answered_when_it_is_there(server: Server) -> None:
    with server.client() as client:
        change(server, CODE.replace("old", "new"))
        response = client.post("/admin/reload")

        assert (response.status_code, response.json()) == (200, {"status": "reloaded"})
        assert {predict(client) for _ in range(4)} == {"new"}


def test_code_that_cannot_be_made_ready_is_answered_with_the_reason_and_changes_nothing(server: Server) -> None:
    with server.client() as client:
        change(server, BROKEN)
        response = client.post("/admin/reload")

        assert response.status_code == 500
        assert "the old code goes on" in response.json()["detail"]
        assert "SyntaxError" in response.json()["detail"]
        assert predict(client) == "old"
        assert client.get("/readyz").status_code == 200


def test_reloads_that_are_asked_for_at_once_come_one_after_the_other(server: Server) -> None:
    with server.client() as client:
        change(server, CODE.replace("old", "new"))
        for _ in range(3):
            server.process.send_signal(signal.SIGHUP)
        assert client.post("/admin/reload").status_code == 200

        assert predict(client) == "new"
        assert len({line["pid"] for line in server.log if line["event"] == "worker ready"}) in (6, 8)


def test_all_who_ask_while_a_reload_runs_share_the_next_one(server: Server) -> None:
    with server.client() as client, ThreadPoolExecutor(6) as others:
        before = len(server.log)
        asked = [others.submit(client.post, "/admin/reload") for _ in range(6)]

        assert {each.result().status_code for each in asked} == {200}
    assert sum(line["event"] == "reloaded" for line in server.log[before:]) <= 3  # one may be over before the last asks


def test_a_server_that_is_told_to_stop_gives_up_a_reload(server: Server) -> None:
    change(server, "import time\ntime.sleep(600)\n" + CODE)
    server.process.send_signal(signal.SIGHUP)
    server.wait_for(lambda line: "new workers are started" in line["event"])

    assert server.stop() == 0


def test_nobody_reloads_a_server_that_does_not_allow_it(start_server: StartServer) -> None:
    server = start_server(CODE, predictor="predict.py:predict")
    with server.client() as client:
        response = client.post("/admin/reload")

    assert response.status_code == 403
    assert "serve.allow_reload" in response.json()["detail"]


def test_sighup_ends_a_server_whose_terminal_was_closed(tmp_path: Path) -> None:
    (tmp_path / "predict.py").write_text(CODE)
    (tmp_path / "servekit.yaml").write_text("predictor: predict.py:predict\n")
    command = [sys.executable, "-m", "servekit.server", f"--spec={tmp_path}", "--host=127.0.0.1", "--port=0"]
    ours, theirs = pty.openpty()
    try:
        with subprocess.Popen(command, stdin=theirs, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            assert any("worker ready" in line for line in process.stderr)
            process.send_signal(signal.SIGHUP)
            process.stderr.read()

            assert process.wait(DEADLINE_SECONDS) == 0
    finally:
        os.close(ours)
        os.close(theirs)
