import socket
import subprocess
import sys
import threading
from collections.abc import Generator

import pytest

from servekit.server.healthcheck import choose_port, main


class Answerer:
    """Answers one request on loopback with given bytes, and keeps what it was asked."""

    def __init__(self, answer: bytes) -> None:
        self.asked = b""
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def close(self) -> None:
        self._thread.join()
        self._listener.close()

    def _run(self) -> None:
        connection, _ = self._listener.accept()
        with connection:
            self.asked = connection.recv(1000)
            connection.sendall(self._answer)


@pytest.fixture
def ready() -> Generator[Answerer]:
    answerer = Answerer(b'HTTP/1.1 200 OK\r\ncontent-length: 18\r\n\r\n{"status":"ready"}')
    yield answerer
    answerer.close()


def test_a_server_that_is_ready_is_healthy(ready: Answerer) -> None:
    assert main([], {"PORT": str(ready.port)}) == 0
    assert ready.asked.startswith(b"GET /readyz HTTP/1.1\r\n")


def test_a_server_that_is_not_ready_is_unhealthy_and_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    answerer = Answerer(b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 2\r\n\r\nsetup is not done")

    code = main([str(answerer.port)], {})

    answerer.close()
    assert (code, capsys.readouterr().err) == (1, "setup is not done\n")


def test_what_speaks_no_http_is_unhealthy(capsys: pytest.CaptureFixture[str]) -> None:
    answerer = Answerer(b"\x00\xff")

    code = main([str(answerer.port)], {})

    answerer.close()
    assert code == 1
    assert capsys.readouterr().err


def test_no_server_is_unhealthy(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    assert main([str(port)], {}) == 1
    assert capsys.readouterr().err.startswith(f"nothing answers on port {port}: ")


@pytest.mark.parametrize(
    ("arguments", "environ", "port"),
    [
        ([], {}, 5000),
        (["8080"], {}, 8080),
        (["8080"], {"PORT": "9000"}, 9000),
        (["8080"], {"PORT": "9000", "SERVEKIT_PORT": "7000"}, 7000),
        ([], {"PORT": ""}, 5000),
    ],
)
def test_the_port_is_found_as_the_server_finds_it(arguments: list[str], environ: dict[str, str], port: int) -> None:
    assert choose_port(arguments, environ) == port


def test_it_loads_no_package_and_no_http_client() -> None:
    code = "import sys, servekit.server.healthcheck; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()

    tops = {name.partition(".")[0] for name in loaded} - sys.stdlib_module_names
    assert {name for name in tops if not name.startswith("_")} - {"sitecustomize"} == {"servekit"}
    assert "http.client" not in loaded
    assert "asyncio" not in loaded
