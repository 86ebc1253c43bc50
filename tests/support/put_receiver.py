"""A real HTTP server that files are put to, for tests."""

import threading
from collections import defaultdict
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from certificates import load_certificate

__all__ = ["Put", "PutReceiver", "run_put_receiver"]

_DEADLINE_SECONDS = 30.0
_KEPT_BYTES = 1 << 20

Answer = int | tuple[int, dict[str, str]]


@dataclass(frozen=True)
class Put:
    """One file as it came; of a large one only the size is kept."""

    path: str
    headers: dict[str, str]
    body: bytes
    size: int


class PutReceiver(ThreadingHTTPServer):
    """Takes every file with 200, unless told otherwise for its path.

    Attributes:
        puts: What came, in the order of its arrival.
        answered: The paths of what was answered.
        answers: Statuses, some with headers, to answer a path with in turn, before 200. With status 0 it hangs up.
        holds: Paths whose answers wait for an event.
        unread: Paths of which no more than the head is read.
    """

    request_queue_size = 128
    daemon_threads = True

    def __init__(self, certificate: Path | None = None) -> None:
        self.puts: list[Put] = []
        self.answered: list[str] = []
        self.answers: defaultdict[str, list[Answer]] = defaultdict(list)
        self.holds: dict[str, threading.Event] = {}
        self.unread: set[str] = set()
        self._news = threading.Condition()
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        if certificate is not None:
            self.socket = load_certificate(certificate).wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False
            )
            self.url = f"https://localhost:{self.server_address[1]}"

    @property
    def paths(self) -> list[str]:
        with self._news:
            return [put.path for put in self.puts]

    def at(self, path: str) -> list[Put]:
        """Return what came to a path so far."""
        with self._news:
            return [put for put in self.puts if put.path == path]

    def wait_for(self, path: str) -> Put:
        """Wait until something has come to a path."""
        with self._news:  # a condition's lock may be taken again by its holder
            assert self._news.wait_for(lambda: self.at(path), _DEADLINE_SECONDS), self.paths
            return self.at(path)[0]

    def hold(self, path: str) -> threading.Event:
        """Answer a path no more until the event is set."""
        self.holds[path] = threading.Event()
        return self.holds[path]

    def take(self, put: Put) -> Answer:
        """Note a file, and return what it is to be answered."""
        with self._news:
            self.puts.append(put)
            self._news.notify_all()
            answers = self.answers[put.path]
            answer = answers.pop(0) if answers else 200
        if put.path in self.holds:
            self.holds[put.path].wait(_DEADLINE_SECONDS)
        self.answered.append(put.path)
        return answer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing when a sender hangs up: some tests make it."""


class _Handler(BaseHTTPRequestHandler):
    def do_PUT(self) -> None:
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

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its signature
        del format, args


@contextmanager
def run_put_receiver(certificate: Path | None = None) -> Generator[PutReceiver]:
    """Run a receiver, with TLS if it has a certificate; what it still holds at the end is let go of."""
    receiver = PutReceiver(certificate)
    thread = threading.Thread(target=receiver.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield receiver
    finally:
        for held in receiver.holds.values():
            held.set()
        receiver.shutdown()
        receiver.server_close()
        thread.join()
