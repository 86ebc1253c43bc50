"""A server from its start to its end, as probes, signals and logs show it."""

import os
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from serving import Server, StartServer, wait_until

from servekit.errors import ListenError

SLOW_SETUP = """
    import time
    from pathlib import Path

    class Predictor:
        def setup(self) -> None:
            print("loading weights")
            Path("started").touch()
            while not Path("gate").exists():
                time.sleep(0.01)

        def predict(self, text: str = "") -> str:
            return text
"""

WAITING = """
    import asyncio
    from pathlib import Path

    class Predictor:
        async def predict(self, stubborn: bool = False) -> str:
            Path("started").touch()
            while not Path("gate").exists():
                await asyncio.sleep(0.01)
            return "finished"

        def teardown(self) -> None:
            Path("teardown").touch()
"""


def get(server: Server, path: str) -> httpx.Response:
    with server.client() as client:
        response: httpx.Response = client.get(path)
        return response


def test_the_server_answers_while_setup_runs(start_server: StartServer) -> None:
    server = start_server(SLOW_SETUP, ready=False)
    wait_until((server.root / "started").exists)

    assert get(server, "/livez").status_code == 200
    ready = get(server, "/readyz")
    assert (ready.status_code, ready.json()["detail"]) == (503, "setup has not finished yet")
    health = get(server, "/health-check")
    assert (health.status_code, health.json()["status"]) == (200, "STARTING")
    assert health.json()["setup"]["status"] == "starting"
    with server.client() as client:
        refused = client.post("/predictions", json={"input": {}})
    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) > 0

    (server.root / "gate").touch()
    server.wait_until_ready()

    assert get(server, "/readyz").status_code == 200
    health = get(server, "/health-check").json()
    assert health["status"] == "READY"
    assert health["setup"]["status"] == "succeeded"
    assert health["setup"]["logs"] == "loading weights\n"
    assert health["setup"]["started_at"] < health["setup"]["completed_at"]
    assert set(health["version"]) == {"servekit", "python"}


FAILURES = {
    "setup raises": (
        "class Predictor:\n def setup(self):\n  raise RuntimeError('no weights')\n def predict(self) -> str: return ''",
        "RuntimeError: no weights",
    ),
    "setup exits": (
        "import sys\nclass Predictor:\n def setup(self):\n  sys.exit(3)\n def predict(self) -> str: return ''",
        "sys.exit(3)",
    ),
    "import fails": ("import no_such_package\n", "No module named 'no_such_package'"),
    "no such class": ("class Other: ...\n", "Predictor"),
}


@pytest.mark.parametrize("what", FAILURES)
def test_a_predictor_that_cannot_be_made_ready_is_told_everywhere(start_server: StartServer, what: str) -> None:
    code, expected = FAILURES[what]
    server = start_server(code, ready=False)

    line = server.wait_for(lambda line: line["level"] == "error")

    assert expected in f"{line['event']}\n{line.get('traceback')}"
    health = get(server, "/health-check").json()
    assert health["status"] == "SETUP_FAILED"
    assert expected in health["setup"]["logs"]
    assert expected in get(server, "/readyz").json()["detail"]
    with server.client() as client:
        refused = client.post("/predictions", json={"input": {}})
    assert refused.status_code == 503
    assert "/health-check" in refused.json()["detail"]
    assert get(server, "/livez").status_code == 200


def test_the_traceback_in_the_log_is_the_author_s(start_server: StartServer) -> None:
    server = start_server(FAILURES["setup raises"][0], ready=False)

    line = server.wait_for(lambda line: line["level"] == "error")

    assert "predict.py" in line["traceback"]
    assert "servekit/" not in line["traceback"]


def test_health_says_busy_when_all_slots_are_taken(start_server: StartServer) -> None:
    server = start_server(WAITING)
    with server.client() as client:
        client.post("/predictions", json={}, headers={"Prefer": "respond-async"})
        wait_until((server.root / "started").exists)

        assert client.get("/health-check").json()["status"] == "BUSY"
        assert client.get("/readyz").status_code == 200
        (server.root / "gate").touch()


def test_health_says_what_the_predictor_complains_of(start_server: StartServer) -> None:
    server = start_server("""
        class Predictor:
            def predict(self) -> str:
                return ""

            def healthcheck(self) -> bool:
                raise RuntimeError("the GPU has fallen off the bus")
    """)

    wait_until(lambda: get(server, "/health-check").json()["status"] == "UNHEALTHY")  # it is not waited for

    health = get(server, "/health-check").json()
    assert "the GPU has fallen off the bus" in health["user_healthcheck_error"]


def test_health_says_defunct_when_workers_died_and_do_not_come_back(start_server: StartServer) -> None:
    server = start_server("""
        import os
        from pathlib import Path

        class Predictor:
            def setup(self) -> None:
                if Path("died").exists():
                    raise RuntimeError("cannot again")

            def predict(self) -> str:
                Path("died").touch()
                os._exit(1)
    """)
    with server.client() as client:
        client.post("/predictions", json={})
        server.wait_for(lambda line: "cannot again" in str(line.get("traceback")))

        assert client.get("/health-check").json()["status"] == "DEFUNCT"


def test_what_a_worker_prints_is_logged_line_by_line(start_server: StartServer) -> None:
    server = start_server("""
        import os, sys

        class Predictor:
            def setup(self) -> None:
                print("one")
                print("two", file=sys.stderr)
                os.write(1, b"raw " + b"x" * 10_000 + b"\\n")

            def predict(self) -> str:
                return ""
    """)

    one = server.wait_for(lambda line: line["event"] == "one")
    two = server.wait_for(lambda line: line["event"] == "two")
    raw = server.wait_for(lambda line: line["event"].startswith("raw"))

    assert (one["worker"], one["source"]) == (1, "stdout")
    assert (two["worker"], two["source"]) == (1, "stderr")
    assert len(raw["event"]) == 4096


def test_a_first_signal_lets_predictions_finish_and_runs_teardown(start_server: StartServer) -> None:
    server = start_server(WAITING)
    with ThreadPoolExecutor() as threads, server.client() as client, server.client() as other:
        running = threads.submit(client.post, "/predictions", json={})
        wait_until((server.root / "started").exists)

        server.process.send_signal(signal.SIGTERM)
        server.wait_for(lambda line: line["event"].startswith("shutting down"))
        ready, alive, refused = other.get("/readyz"), other.get("/livez"), other.post("/predictions", json={})
        (server.root / "gate").touch()

        assert running.result().json()["output"] == "finished"
    assert (ready.status_code, alive.status_code, refused.status_code) == (503, 200, 503)
    assert server.wait() == 0
    assert (server.root / "teardown").exists()


def test_what_the_grace_is_too_short_for_is_canceled_with_the_reason(start_server: StartServer) -> None:
    server = start_server(WAITING, shutdown_grace="100ms")
    with ThreadPoolExecutor() as threads, server.client() as client:
        running = threads.submit(client.post, "/predictions", json={})
        wait_until((server.root / "started").exists)

        code = server.stop(signal.SIGINT)

        answer = running.result().json()
    assert code == 0
    assert answer["status"] == "canceled"
    assert "shutting down" in answer["error"]


def test_an_open_stream_is_told_the_end(start_server: StartServer) -> None:
    server = start_server(WAITING, shutdown_grace="100ms")
    with (
        server.client() as client,
        client.stream("POST", "/predictions", json={}, headers={"Accept": "text/event-stream"}) as response,
    ):
        wait_until((server.root / "started").exists)

        server.process.send_signal(signal.SIGTERM)
        text = response.read().decode()

    assert "event: completed" in text
    assert '"canceled"' in text
    assert server.wait() == 0


def test_a_second_signal_ends_at_once(start_server: StartServer) -> None:
    server = start_server(WAITING)
    with server.client() as client:
        client.post("/predictions", json={}, headers={"Prefer": "respond-async"})
        wait_until((server.root / "started").exists)
        pid = server.wait_for(lambda line: line["event"] == "worker ready")["pid"]

    server.process.send_signal(signal.SIGTERM)
    server.wait_for(lambda line: line["event"].startswith("shutting down"))
    code = server.stop(signal.SIGTERM)

    assert code == 1
    assert not (server.root / "teardown").exists()
    wait_until(lambda: is_gone(pid))


def test_a_signal_during_setup_ends_the_server(start_server: StartServer) -> None:
    server = start_server(SLOW_SETUP, ready=False)
    wait_until((server.root / "started").exists)
    (server.root / "gate").touch()

    assert server.stop() == 0


def test_no_worker_outlives_a_server_that_was_killed(start_server: StartServer) -> None:
    server = start_server(WAITING)
    pid = server.wait_for(lambda line: line["event"] == "worker ready")["pid"]

    server.stop(signal.SIGKILL)

    wait_until(lambda: is_gone(pid))


def test_shutdown_by_request_is_as_orderly_as_by_signal(start_server: StartServer) -> None:
    server = start_server(WAITING, allow_shutdown=True)
    with server.client() as client:
        response = client.post("/shutdown")

    assert (response.status_code, response.json()) == (200, {})
    assert server.wait() == 0
    assert (server.root / "teardown").exists()


def test_a_taken_port_is_one_sentence_and_starts_nothing(start_server: StartServer) -> None:
    server = start_server(SLOW_SETUP.replace("while", "if False and"))
    (server.root / "started").unlink()

    second = subprocess.run(
        [sys.executable, "-m", "servekit.server", "--spec", server.root, "--host=127.0.0.1"],
        env={**os.environ, "PORT": str(httpx.URL(server.url).port)},
        capture_output=True,
        text=True,
        check=False,
    )

    port = httpx.URL(server.url).port
    assert second.returncode == ListenError.exit_code
    assert second.stderr.strip() == (
        f"port {port} is taken by another process; choose another with --port, or 0 for any that is free"
    )
    assert not (server.root / "started").exists()


def test_small_answers_are_sent_without_delay(start_server: StartServer) -> None:
    server = start_server(WAITING)
    (server.root / "gate").touch()
    url = httpx.URL(server.url)
    with socket.create_connection((url.host, url.port), 30) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = connection.recv(1000)

    assert answer.endswith(b'{"status":"alive"}')
    assert b"server:" not in answer
    assert b"date:" in answer


def test_new_code_is_loaded_when_files_change(start_server: StartServer, tmp_path: Path) -> None:
    starter = tmp_path / "starter.py"
    starter.write_text("""
import asyncio, signal, sys
from pathlib import Path
from servekit.server.run import serve
from servekit.spec import apply_overrides, load_spec

async def changes():
    changed = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, changed.set)
    while True:
        await changed.wait()
        changed.clear()
        yield

spec = apply_overrides(load_spec(Path(sys.argv[1])), {}, {"port": 0, "host": "127.0.0.1"})
sys.exit(serve(spec, changes=changes))
""")
    root = tmp_path / "project"
    root.mkdir()
    (root / "servekit.yaml").write_text("predictor: predict.py:run")
    code = "def run(text: str = '') -> str:\n    return text + {!r}\n"
    (root / "predict.py").write_text(code.format("old"))
    server = start_server.adopt(root, sys.executable, str(starter), str(root))
    server.wait_until_ready()

    with server.client() as client:
        before = client.post("/predictions", json={}).json()["output"]
        (root / "predict.py").write_text("broken(")
        server.process.send_signal(signal.SIGUSR1)
        server.wait_for(lambda line: line["event"].startswith("not reloaded"))
        meanwhile = client.post("/predictions", json={}).json()["output"]
        (root / "predict.py").write_text(code.format("new"))
        server.process.send_signal(signal.SIGUSR1)
        server.wait_for(lambda line: line["event"] == "reloaded")
        after = client.post("/predictions", json={}).json()["output"]

    assert (before, meanwhile, after) == ("old", "old", "new")
    assert server.stop() == 0


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True
