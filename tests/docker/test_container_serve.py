"""`servekit serve IMAGE`: a server in a container, as one without."""

import json
import os
import pty
import select
import signal
import socket
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from model_images import SECONDS, SERVEKIT, Command, MakeModelImage
from serving import wait_until

from servekit_cli.engine import Engine


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("SERVEKIT_") or name == "PORT"]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def counter(model_image: MakeModelImage) -> str:
    return model_image(
        """
        import os, time
        from servekit import ConcatenateIterator

        class Predictor:
            def setup(self) -> None:
                print("loading")

            def predict(self, count: int = 3, pause: float = 0.0) -> ConcatenateIterator[str]:
                for number in range(count):
                    yield f"{number} "
                    time.sleep(pause)
        """,
        spec="serve: {shutdown_grace: 20s}\n",
    )


@contextmanager
def serve(what: str, *arguments: str, **variables: str) -> Generator[tuple[httpx.Client, Command]]:
    """Serve at a free port until the block ends, and give a client of it once it is ready."""
    with Command("serve", what, "--host", "127.0.0.1", "--port", "0", *arguments, **variables) as command:
        command.wait_for("Serving ")
        command.wait_for("worker ready")
        url = command.stderr.partition(" at ")[2].split()[0]
        with httpx.Client(base_url=url, timeout=SECONDS, trust_env=False) as client:
            yield client, command
        if command.process.poll() is None:
            command.send(signal.SIGTERM)
            command.wait()


def test_predictions_are_answered_and_an_interrupt_ends_in_order(counter: str) -> None:
    with serve(counter) as (client, command):
        answer = client.post("/predictions", json={"input": {"count": 2}}).json()
        command.send(signal.SIGINT)

        assert command.wait() == 0, command.stderr
    assert answer["output"] == ["0 ", "1 "]
    assert '"event":"stopped"' in command.stderr


def test_a_project_is_built_and_served(tmp_path: Path, image_name: str) -> None:
    (tmp_path / "servekit.yaml").write_text(f"image: {image_name}\npredictor: predict.py:Predictor\n")
    (tmp_path / "predict.py").write_text("class Predictor:\n    def predict(self, name: str) -> str: return name\n")

    with serve("--docker", "--file", str(tmp_path), "-e", "SERVEKIT_LOG_LEVEL=debug") as (client, _):
        answer = client.post("/predictions", json={"input": {"name": "Ada"}}).json()

    assert answer["output"] == "Ada"


def test_sigterm_lets_a_prediction_finish(counter: str) -> None:
    with serve(counter) as (client, command):
        headers = {"Accept": "text/event-stream"}
        with client.stream("POST", "/predictions", json={"input": {"count": 4, "pause": 0.3}}, headers=headers) as got:
            lines = got.iter_lines()
            while "output" not in next(lines):
                pass
            command.send(signal.SIGTERM)
            rest = list(lines)

        assert command.wait() == 0, command.stderr
    assert json.loads(rest[-2].removeprefix("data: "))["status"] == "succeeded"


def test_a_second_signal_ends_at_once(counter: str) -> None:
    with serve(counter) as (client, command):
        headers = {"Prefer": "respond-async"}
        client.post("/predictions", json={"input": {"count": 1000, "pause": 0.1}}, headers=headers)
        command.send(signal.SIGINT)
        command.wait_for("shutting down")
        command.send(signal.SIGINT)

        assert command.wait() == 1, command.stderr


def test_flags_and_variables_reach_the_server(counter: str) -> None:
    variables = {"SERVEKIT_MAX_BODY": "10MB", "SERVEKIT_QUEUE_MAX": "0"}
    with serve(counter, "--max-body", "100B", "--allow-shutdown", **variables) as (client, command):
        refused = client.post("/predictions", json={"input": {"x": "y" * 200}})
        client.post("/shutdown")

        assert command.wait() == 0, command.stderr
    assert refused.status_code == 413


def test_sigkill_of_the_command_ends_the_server(engine: Engine, counter: str) -> None:
    with serve(counter) as (_, command):
        command.send(signal.SIGKILL)
        command.wait()

        wait_until(lambda: not engine.client.containers.list(all=True, filters=_of(counter), ignore_removed=True))


def test_a_container_that_is_killed_is_told(engine: Engine, counter: str) -> None:
    with serve(counter) as (_, command):
        [container] = engine.client.containers.list(filters=_of(counter))
        container.kill()

        assert command.wait() == 13
    assert "The container was killed (exit code 137, SIGKILL)" in command.stderr


def test_a_log_that_nobody_reads_any_more_stops_nothing(counter: str) -> None:
    command = [SERVEKIT, "serve", counter, "--host", "127.0.0.1", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        url = process.stderr.readline().partition(" at ")[2].split()[0]
        process.stderr.close()
        with httpx.Client(base_url=url, timeout=SECONDS, trust_env=False) as client:
            wait_until(lambda: _is_ready(client))
            answer = client.post("/predictions", json={"input": {"count": 1}}).json()
        process.send_signal(signal.SIGTERM)

        assert process.wait(SECONDS) == 0
    assert answer["output"] == ["0 "]


def test_a_port_that_is_taken_is_told(counter: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = _run(counter, "--host", "127.0.0.1", "--port", port)

    assert done.returncode == 9
    assert f"Port {port} is taken: another program has it." in done.stderr
    assert "choose another port with --port" in done.stderr


def test_a_port_that_another_container_has_is_told_with_its_name(engine: Engine, counter: str) -> None:
    with serve(counter) as (client, _):
        [container] = engine.client.containers.list(filters=_of(counter))
        done = _run(counter, "--host", "127.0.0.1", "--port", str(client.base_url.port))

    assert done.returncode == 9
    assert f"the container {container.name} has it" in done.stderr


def test_an_address_of_another_machine_is_told(counter: str) -> None:
    done = _run(counter, "--host", "192.0.2.1")

    assert done.returncode == 9
    assert "192.0.2.1 is not an address of the engine's host" in done.stderr


def test_on_a_terminal_the_log_is_for_people(counter: str) -> None:
    ours, theirs = pty.openpty()
    environ = {**os.environ, "TERM": "xterm", "NO_COLOR": "1"}
    command = [SERVEKIT, "serve", counter, "--host", "127.0.0.1", "--port", "0"]
    with subprocess.Popen(command, env=environ, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        seen = _read_until(ours, b"worker ready")
        process.send_signal(signal.SIGINT)
        seen += _read_until(ours, b"stopped")
        assert process.wait(SECONDS) == 0
    os.close(ours)
    assert b'{"timestamp"' not in seen


def _run(image: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [SERVEKIT, "serve", image, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)


def _is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/readyz").is_success
    except httpx.TransportError:
        return False


def _of(image: str) -> dict[str, str | list[str] | bool]:
    return {"ancestor": image}


def _read_until(descriptor: int, end: bytes) -> bytes:
    seen = b""
    deadline = time.monotonic() + SECONDS
    while end not in seen:
        assert time.monotonic() < deadline, seen
        if select.select([descriptor], [], [], 1)[0]:
            seen += os.read(descriptor, 4096)
    return seen
