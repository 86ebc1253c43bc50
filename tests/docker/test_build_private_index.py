"""A package index that wants a login: it gets it during the build, and the image never has it."""

import base64
import http.server
import io
import subprocess
import threading
import zipfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from image_building import SECONDS, Builder

from servekit_cli.engine import Engine

LOGIN = "builder:s3cret-4711"
WHEEL = "our_tools-1.0-py3-none-any.whl"


class PrivateIndex(http.server.BaseHTTPRequestHandler):
    """Has one package of its own, and sends everybody to the public index for the others (PEP 503)."""

    def do_GET(self) -> None:
        wanted = "Basic " + base64.b64encode(LOGIN.encode()).decode()
        if self.headers.get("Authorization") != wanted:
            self._answer(401, b"", ("WWW-Authenticate", 'Basic realm="packages"'))
        elif self.path == "/simple/our-tools/":
            self._answer(200, f'<a href="/files/{WHEEL}">{WHEEL}</a>'.encode(), ("Content-Type", "text/html"))
        elif self.path == f"/files/{WHEEL}":
            self._answer(200, _make_wheel())
        else:
            self._answer(302, b"", ("Location", f"https://pypi.org{self.path}"))

    do_HEAD = do_GET  # noqa: N815 - the base class's names

    def _answer(self, status: int, body: bytes, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for name, value in (*headers, ("Content-Length", str(len(body)))):
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


def _make_wheel() -> bytes:
    content = io.BytesIO()
    info = "our_tools-1.0.dist-info"
    with zipfile.ZipFile(content, "w") as wheel:
        wheel.writestr("our_tools.py", "ANSWER = 42\n")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: our-tools\nVersion: 1.0\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", f"our_tools.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    return content.getvalue()


@contextmanager
def serve_index() -> Generator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), PrivateIndex) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/simple"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def builder(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Generator[Builder]:
    """Builds images that are removed after the module's tests."""
    builder = Builder(engine, tmp_path_factory.mktemp("builds"))
    yield builder
    builder.close()


def write(builder: Builder, index: str) -> Path:
    code = "import our_tools\n\ndef predict() -> int:\n    return our_tools.ANSWER\n"
    return builder.write(code, f"build:\n  index: {index}\n  python_packages: [our-tools]\n")


def test_the_login_reaches_the_index_and_stays_out_of_the_image(builder: Builder, tmp_path: Path) -> None:
    user, password = LOGIN.split(":")
    (tmp_path / "netrc").write_text(f"machine 127.0.0.1 login {user} password {password}\n")
    with serve_index() as index:
        project = write(builder, index)

        image = builder.build(project, "--network", "host", "--secret", f"id=netrc,src={tmp_path / 'netrc'}")

    done = builder.run("predict", image)
    assert (done.returncode, done.stdout) == (0, "42\n"), done.stderr
    archive = tmp_path / "image.tar"
    with archive.open("wb") as file:
        subprocess.run(["docker", "save", image], stdout=file, check=True, timeout=SECONDS)
    assert password.encode() not in archive.read_bytes()


def test_without_the_login_the_build_says_that_the_index_refuses(builder: Builder) -> None:
    with serve_index() as index:
        done = builder.fail(write(builder, index), "--network", "host")

    assert done.returncode == 11
    assert "--secret id=netrc" in done.stderr
