"""`servekit serve`: from files, variables and flags to a server, and back to an exit code."""

import os
import signal
import socket
import subprocess
import sysconfig
import time
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest

SERVEKIT = str(Path(sysconfig.get_path("scripts")) / "servekit")
SECONDS = 60


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "servekit.yaml").write_text("predictor: predict.py:Predictor\nserve: {workers: 1}\n")
    (tmp_path / "predict.py").write_text("class Predictor:\n    def predict(self) -> str: return 'first'\n")
    return tmp_path


def find_free_port() -> int:
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def serve(project: Path, *flags: str, **variables: str) -> Generator[tuple[httpx.Client, "subprocess.Popen[str]"]]:
    """Run a server on a free port until the block ends, and give a client of it once it is ready."""
    port = find_free_port()
    command = [SERVEKIT, "serve", "--host", "127.0.0.1", *flags]
    environ = {**os.environ, "PORT": str(port), **variables}
    with (
        subprocess.Popen(command, cwd=project, env=environ, stderr=subprocess.PIPE, text=True) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=SECONDS) as client,
    ):
        try:
            ask_until(client, "/readyz", lambda answer: answer.status_code == 200)
            yield client, process
        finally:
            process.terminate()
            process.communicate(timeout=SECONDS)


def ask_until(client: httpx.Client, path: str, is_enough: Callable[[httpx.Response], bool]) -> None:
    # Another process can only be asked; nothing here could be awaited instead.
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        try:
            if is_enough(client.post(path, json={}) if path == "/predictions" else client.get(path)):
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    pytest.fail(f"{path} did not answer as it should")


def test_a_predictor_is_served_where_the_variable_says(project: Path) -> None:
    with serve(project) as (client, _):
        answer = client.post("/predictions", json={}).json()

    assert (answer["status"], answer["output"]) == ("succeeded", "first")


def test_a_field_is_set_by_its_flag(project: Path) -> None:
    with serve(project, "--max-body", "10B") as (client, _):
        answer = client.post("/predictions", json={"input": {"x": "y" * 100}})

    assert answer.status_code == 413


def test_a_switch_is_set_by_its_flag(project: Path) -> None:
    with serve(project, "--allow-shutdown", SERVEKIT_ALLOW_SHUTDOWN="false") as (client, process):
        client.post("/shutdown")

        assert process.wait(SECONDS) == 0


def test_an_interrupt_ends_the_server_in_order(project: Path) -> None:
    with serve(project) as (_, process):
        process.send_signal(signal.SIGINT)

        assert process.wait(SECONDS) == 0


def test_changed_code_is_loaded_anew(project: Path) -> None:
    with serve(project, "--reload") as (client, _):
        (project / "predict.py").write_text("class Predictor:\n    def predict(self) -> str: return 'second'\n")

        ask_until(client, "/predictions", lambda answer: answer.json()["output"] == "second")


@pytest.mark.parametrize(
    ("flags", "exit_code", "message"),
    [
        (["--workers", "many"], 2, '--workers is "many"; it must be a whole number'),
        (["--timeout", "0"], 2, '--timeout is "0"; it must be more than 0'),
        (["--file", "nowhere"], 3, "There is no nowhere"),
    ],
)
def test_bad_use_ends_before_anything_is_started(project: Path, flags: list[str], exit_code: int, message: str) -> None:
    done = subprocess.run(
        [SERVEKIT, "serve", *flags], cwd=project, capture_output=True, text=True, check=False, timeout=SECONDS
    )

    assert done.returncode == exit_code
    assert message in done.stderr


def test_a_port_that_is_taken_is_told(project: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [SERVEKIT, "serve", "--host", "127.0.0.1", "--port", str(port)],
            cwd=project,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )

    assert done.returncode == 9
    assert str(port) in done.stderr
