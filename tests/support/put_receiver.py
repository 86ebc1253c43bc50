"""A real HTTP server that files are put to, for tests."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from certificates import load_certificate
from holding_server import DEADLINE_SECONDS, Answer, HoldingServer, QuietHandler, running

__all__ = ["Put", "PutReceiver", "run_put_receiver"]

_KEPT_BYTES = 1 << 20


@dataclass(frozen=True)
class Put:
    """One file as it came; of a large one only the size is kept."""

    path: str
    headers: dict[str, str]
    body: bytes
    size: int


class PutReceiver(HoldingServer[Put]):
    """Takes files; with status 0 among its answers it hangs up.

    Attributes:
        answered: The paths of what was answered.
        unread: Paths of which no more than the head is read.
    """

    request_queue_size = 128

    def __init__(self, certificate: Path | None = None) -> None:
        self.answered: list[str] = []
        self.unread: set[str] = set()
        super().__init__("127.0.0.1", _Handler)
        if certificate is not None:
            self.socket = load_certificate(certificate).wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False
            )
            self.url = f"https://localhost:{self.server_address[1]}"

    @property
    def puts(self) -> list[Put]:
        """What came, in the order of its arrival."""
        return self.requests

    @property
    def paths(self) -> list[str]:
        """Where it came to."""
        with self.news:
            return [put.path for put in self.puts]

    def wait_for(self, path: str) -> Put:
        """Wait until something has come to a path."""
        with self.news:
            assert self.news.wait_for(lambda: self.at(path), DEADLINE_SECONDS), self.paths
            return self.at(path)[0]

    def take(self, request: Put) -> Answer:
        """Note a file, and return what it is to be answered."""
        answer = super().take(request)
        self.answered.append(request.path)
        return answer


class _Handler(QuietHandler):
    def do_PUT(self) -> None:  # noqa: N802 - the name that http.server looks for
        receiver = self.server
        assert isinstance(receiver, PutReceiver)
        body, size = (b"", 0) if self.path in receiver.unread else self._read()
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = receiver.take(Put(self.path, headers, body, size))
        status, more = answer if isinstance(answer, tuple) else (answer, {})
        if not status:
            return
        self.send_response(status)
        for name, value in {"Content-Length": "2", **more}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(b"ok")

    def _read(self) -> tuple[bytes, int]:
        kept, size, left = b"", 0, int(self.headers["Content-Length"])
        while left:
            chunk = self.rfile.read(min(left, _KEPT_BYTES))
            if not chunk:
                raise ConnectionResetError
            size += len(chunk)
            left -= len(chunk)
            kept = kept + chunk if size <= _KEPT_BYTES else b""
        return kept, size


def run_put_receiver(certificate: Path | None = None) -> AbstractContextManager[PutReceiver]:
    """Run a receiver, with TLS if it has a certificate; what it still holds at the end is let go of."""
    return running(PutReceiver(certificate))
