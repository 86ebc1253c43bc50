"""Finding an engine, and saying why there is none. Sockets are real ones; what listens on them is ours."""

import gc
import json
import os
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Generator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from typing import ClassVar

import pytest

from servekit.errors import EngineError
from servekit_cli.engine import connect
from servekit_cli.engine.endpoint import find_endpoints
from servekit_cli.engine.features import find_build_client

# Docker's SDK forgets to close a socket that it could not connect.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <s:ResourceWarning")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Path]:
    """The home of a user who has set nothing."""
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"):
        monkeypatch.delenv(name, raising=False)
    home = tmp_path / "home"
    (home / ".docker").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    yield home
    gc.collect()


class _Engine(BaseHTTPRequestHandler):
    """Answers what every client asks first."""

    answers: ClassVar = {
        "ApiVersion": "1.41",
        "Version": "4.3.1",
        "Components": [{"Name": "Podman Engine", "Version": "4.3.1"}],
    }

    def do_GET(self) -> None:
        body = json.dumps(self.answers).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        pass

    def address_string(self) -> str:
        return "a socket"


@pytest.fixture
def listen() -> Generator[Callable[[Path], None]]:
    """Let an engine of ours answer at a socket."""
    servers: list[ThreadingUnixStreamServer] = []

    def start(path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        server = ThreadingUnixStreamServer(str(path), _Engine)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        servers.append(server)

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def write_context(home: Path, name: str, host: str) -> None:
    folder = home / ".docker/contexts/meta" / sha256(name.encode()).hexdigest()
    folder.mkdir(parents=True)
    endpoints = {"docker": {"Host": host, "SkipTLSVerify": False}}
    (folder / "meta.json").write_text(json.dumps({"Name": name, "Metadata": {}, "Endpoints": endpoints}))


def test_docker_host_is_the_only_place_that_is_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run/docker.sock").touch()
    monkeypatch.setenv("DOCKER_HOST", "unix:///elsewhere.sock")
    monkeypatch.setenv("DOCKER_CONTEXT", "ignored")

    (endpoint,) = find_endpoints()

    assert (endpoint.host, endpoint.origin, endpoint.environment) == ("unix:///elsewhere.sock", "DOCKER_HOST", {})
    assert endpoint.is_named


def test_the_context_of_the_config_is_used(home: Path) -> None:
    write_context(home, "far", "tcp://engine.example.com:2375")
    (home / ".docker/config.json").write_text('{"currentContext": "far"}')

    (endpoint,) = find_endpoints()

    assert endpoint.host == "tcp://engine.example.com:2375"
    assert endpoint.builder == "far"


def test_the_variable_for_the_context_wins_over_the_config(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_context(home, "far", "unix:///far.sock")
    write_context(home, "near", "unix:///near.sock")
    (home / ".docker/config.json").write_text('{"currentContext": "far"}')
    monkeypatch.setenv("DOCKER_CONTEXT", "near")

    (endpoint,) = find_endpoints()

    assert endpoint.host == "unix:///near.sock"


def test_a_context_that_does_not_exist_is_named(home: Path) -> None:
    (home / ".docker/config.json").write_text('{"currentContext": "gone"}')

    with pytest.raises(EngineError, match='no docker context "gone"'):
        find_endpoints()


def test_sockets_are_tried_from_the_usual_one_to_podman(tmp_path: Path) -> None:
    for name in ("docker.sock", "run/podman/podman.sock", "run/docker.sock"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()

    endpoints = find_endpoints(tmp_path / "docker.sock")

    ours = [Path(str(endpoint.socket)) for endpoint in endpoints if tmp_path in Path(str(endpoint.socket)).parents]
    assert [path.relative_to(tmp_path).as_posix() for path in ours] == [
        "docker.sock",
        "run/docker.sock",
        "run/podman/podman.sock",
    ]
    assert endpoints[1].environment == {"DOCKER_HOST": f"unix://{tmp_path}/run/docker.sock"}


def test_podman_answers_where_docker_does_not(tmp_path: Path, listen: Callable[[Path], None]) -> None:
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(tmp_path / "docker.sock"))
    dead.close()
    listen(tmp_path / "run/podman/podman.sock")

    with connect(default=tmp_path / "docker.sock") as engine:
        features = engine.features

    assert features.is_podman
    assert (features.kind, features.mounts, features.secrets, features.link) == ("classic", True, False, False)
    assert features.engine_version == "4.3.1"


def test_without_any_engine_the_remedy_fits_what_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if any(tmp_path not in Path(str(endpoint.socket)).parents for endpoint in find_endpoints(tmp_path / "none")):
        pytest.skip("this machine has an engine at one more place")
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))

    with pytest.raises(EngineError, match=r"no engine here.*\nInstall Docker"):
        connect(default=tmp_path / "none")
    (programs / "podman").touch(0o755)
    with pytest.raises(EngineError, match=r"enable --now podman\.socket"):
        connect(default=tmp_path / "none")
    (programs / "docker").touch(0o755)
    with pytest.raises(EngineError, match=r"no engine runs: .*docker"):
        connect(default=tmp_path / "none")


def test_a_named_socket_that_does_not_exist_is_said_to_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///no/such.sock")

    with pytest.raises(EngineError, match=r"unix:///no/such\.sock \(DOCKER_HOST\) is not running: there is no such"):
        connect()


def test_a_socket_that_nobody_listens_to_is_said_to_be_dead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "dead.sock"))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/dead.sock")

    with pytest.raises(EngineError, match="nothing accepts connections"):
        connect()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_a_socket_that_one_may_not_use_names_its_group_and_other_ways(
    tmp_path: Path, listen: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    listen(tmp_path / "docker.sock")
    (tmp_path / "docker.sock").chmod(0o600)  # root's groups are still ours
    for folder in tmp_path, *tmp_path.parents:
        if folder.stat().st_mode & 0o777 == 0o700:  # pytest's own, however many
            folder.chmod(0o755)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    os.seteuid(65534)
    try:
        with pytest.raises(EngineError, match=r"belongs to the group root\.\nJoin it .*rootless.*Podman"):
            connect()
    finally:
        os.seteuid(0)


def test_a_host_that_cannot_be_found_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://engine.invalid:2375")

    with pytest.raises(EngineError, match=r"on a host that cannot be found\.\nCorrect DOCKER_HOST"):
        connect()


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("foo", r"is no address: .*foo\nAddresses look like unix:///"),
        ("tcp://127.0.0.1", "is no address: .*port is required"),
        ("npipe:////./pipe/docker", "is no address: .*Windows"),
    ],
)
def test_what_is_no_address_is_refused_with_examples(host: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)

    with pytest.raises(EngineError, match=said):
        connect()


@pytest.fixture
def other_server() -> Generator[HTTPServer]:
    """A server on loopback that is no engine, and answers what its test sets."""
    server = HTTPServer(("127.0.0.1", 0), _Other)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


class _Other(BaseHTTPRequestHandler):
    answer = (404, b"no such page")

    def do_GET(self) -> None:
        status, body = self.answer
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        pass


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((404, b"no such page"), "is something else than an engine: 404"),
        # What the server of Go's library answers, which is the engine's.
        ((400, b"Client sent an HTTP request to an HTTPS server.\n"), r"wants TLS\.\nSet DOCKER_TLS_VERIFY=1"),
    ],
)
def test_what_answers_as_no_engine_does_is_told(
    answer: tuple[int, bytes], said: str, other_server: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Other, "answer", answer)
    monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{other_server.server_port}")

    with pytest.raises(EngineError, match=said):
        connect()


def test_certificates_that_are_missing_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:9")
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(tmp_path))

    with pytest.raises(EngineError, match=r"DOCKER_CERT_PATH must name a folder with ca\.pem"):
        connect()


def make_certificate(folder: Path) -> None:
    """Write cert.pem, which vouches for itself, and its key.pem."""
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run([*command, *subject], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def tls_port(tmp_path: Path) -> Generator[int]:
    """The port of a server with a certificate that nobody has signed."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificate, and is not here")
    make_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_shake_hands, args=(listener, context))
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def _shake_hands(listener: socket.socket, context: ssl.SSLContext) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            try:
                context.wrap_socket(connection, server_side=True).close()
            except OSError:
                continue


def test_a_certificate_that_is_not_trusted_is_trouble_with_tls(
    tls_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificates = tmp_path / "mine"
    certificates.mkdir()
    make_certificate(certificates)
    shutil.copy(certificates / "cert.pem", certificates / "ca.pem")
    monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{tls_port}")
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(certificates))

    with pytest.raises(EngineError, match=r"could not be trusted, or does not trust us(.|\n)*DOCKER_CERT_PATH"):
        connect()


class TestBuildClient:
    """What a docker client on PATH is taken for, by what it says of itself."""

    @pytest.fixture(autouse=True)
    def program(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
        (tmp_path / "bin").mkdir()
        return tmp_path / "bin" / "docker"

    @pytest.mark.parametrize(
        ("says", "has_rawjson"),
        [
            ("github.com/docker/buildx 0.13.1+ds1 0.13.1+ds1-3", True),
            ("github.com/docker/buildx v0.29.1 a32761a", True),
            ("github.com/docker/buildx v0.12.1 30feaa1", False),
        ],
    )
    def test_buildx_is_used_in_each_version(self, program: Path, says: str, *, has_rawjson: bool) -> None:
        program.write_text(f"#!/bin/sh\necho {says}\n")
        program.chmod(0o755)

        client = find_build_client({})

        assert client is not None
        assert client.command == ("docker", "buildx", "build")
        assert client.has_rawjson is has_rawjson

    @pytest.mark.parametrize(
        ("says", "is_used"),
        [
            ("Docker version 20.10.24+dfsg1, build 297e128", True),
            ("Docker version 28.2.2, build e6534b4", False),
            ("podman version 4.3.1", False),
        ],
    )
    def test_without_buildx_only_an_old_client_speaks_buildkit(
        self, program: Path, says: str, *, is_used: bool
    ) -> None:
        program.write_text(f'#!/bin/sh\n[ "$1" = --version ] || exit 1\necho "{says}"\n')
        program.chmod(0o755)

        client = find_build_client({})

        assert (client is not None) is is_used
        assert client is None or client.command == ("docker", "build")
