"""How a server process ends, and what it leaves behind."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from serving import DEADLINE_SECONDS, Server, StartServer, wait_until

KEEPS_A_FILE = """
import time
import servekit
def predict(file: servekit.Path) -> None:
    print(file)
    while True:
        time.sleep(0.01)
"""


def test_a_thread_that_will_not_stop_does_not_hold_up_the_end(start_server: StartServer) -> None:
    code = """
        import time
        class Predictor:
            def predict(self) -> str:
                time.sleep(600)
                return "never"
    """
    server = start_server(code, isolation="thread", shutdown_grace=0.1, cancel_grace=0.1)
    with server.client() as client:
        client.post("/predictions", headers={"prefer": "respond-async"})

    assert server.stop() == 0


@pytest.mark.parametrize(
    ("program", "last"),
    [(("servekit.server", "--port=0"), "servekit.server.early"), (("servekit_cli", "serve"), "servekit_cli.main")],
)
def test_sigterm_while_the_server_is_still_imported_ends_it_with_0(program: tuple[str, ...], last: str) -> None:
    command = (sys.executable, "-X", "importtime", "-m", *program)
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        # It tells each module that it has imported; the next one after the last comes when SIGTERM is minded.
        assert any(line.split("|")[-1].strip() == last for line in process.stderr)
        assert process.stderr.readline()

        process.send_signal(signal.SIGTERM)
        rest = process.stderr.read()

        assert process.wait(DEADLINE_SECONDS) == 0
    assert "servekit.server.run" not in rest


def test_sigterm_while_the_predictor_is_still_imported_ends_the_server_with_0(
    start_server: StartServer, tmp_path: Path
) -> None:
    begun = tmp_path / "begun"
    code = f"import pathlib, time\npathlib.Path({str(begun)!r}).touch()\ntime.sleep(600)"
    server = start_server(code, ready=False, cancel_grace=0.1, shutdown_grace=0.1)
    wait_until(begun.exists)

    assert server.stop() == 0


def start_in(start_server: StartServer, root: Path, temporary: Path) -> Server:
    (root / "predict.py").write_text(KEEPS_A_FILE)
    (root / "servekit.yaml").write_text("predictor: predict.py:predict\n")
    module = (sys.executable, "-m", "servekit.server")
    server = start_server.adopt(
        root,
        "env",
        f"TMPDIR={temporary}",
        *module,
        f"--spec={root}",
        "--host=127.0.0.1",
        "--port=0",
        "--shutdown-grace=0.1",
    )
    server.wait_until_ready()
    return server


def upload(server: Server) -> Path:
    with server.client() as client:
        made = client.post("/predictions", files={"file": b"abc"}, headers={"prefer": "respond-async"}).json()
        wait_until(lambda: client.get(f"/predictions/{made['id']}").json()["logs"].endswith("\n"))
        return Path(client.get(f"/predictions/{made['id']}").json()["logs"].strip())


def test_what_a_killed_server_has_left_the_next_one_removes(start_server: StartServer, tmp_path: Path) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    killed, living = (start_in(start_server, tmp_path, temporary) for _ in range(2))
    left, kept = upload(killed), upload(living)
    killed.stop(signal.SIGKILL)
    assert left.exists()

    start_in(start_server, tmp_path, temporary)

    wait_until(lambda: not left.exists())
    assert kept.exists()


def test_a_server_that_ends_in_order_leaves_nothing(start_server: StartServer, tmp_path: Path) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    server = start_in(start_server, tmp_path, temporary)
    upload(server)

    server.stop()

    assert list(temporary.iterdir()) == []
