"""A real HTTP server that answers when, and as, a test wants it to: what receivers of webhooks and of files share."""

import threading
from collections import defaultdict
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Generic, Protocol, TypeVar

__all__ = ["DEADLINE_SECONDS", "Answer", "HoldingServer", "QuietHandler", "running"]

DEADLINE_SECONDS = 30.0

Answer = int | tuple[int, dict[str, str]]


class HasPath(Protocol):
    @property
    def path(self) -> str: ...


_Request = TypeVar("_Request", bound=HasPath)


class HoldingServer(ThreadingHTTPServer, Generic[_Request]):
    """Answers every request with 200, unless told otherwise for its path.

    Attributes:
        requests: What came, in the order of its arrival.
        answers: Statuses, some with headers, to answer a path with in turn, before 200.
        holds: Paths that get no answer before their event is set.
        news: Held while `requests` changes, and notified then.
    """

    daemon_threads = True

    def __init__(self, host: str, handler: type[BaseHTTPRequestHandler]) -> None:
        self.requests: list[_Request] = []
        self.answers: defaultdict[str, list[Answer]] = defaultdict(list)
        self.holds: dict[str, threading.Event] = {}
        self.news = threading.Condition()
        super().__init__((host, 0), handler)
        self.url = f"http://{host}:{self.server_address[1]}"

    def at(self, path: str) -> list[_Request]:
        """Return what came to a path so far."""
        with self.news:  # a condition's lock may be taken again by its holder
            return [request for request in self.requests if request.path == path]

    def hold(self, path: str) -> threading.Event:
        """Answer a path no more until the event is set."""
        self.holds[path] = threading.Event()
        return self.holds[path]

    def take(self, request: _Request) -> Answer:
        """Note a request, and return what it is to be answered."""
        with self.news:
            self.requests.append(request)
            self.news.notify_all()
            answers = self.answers[request.path]
            answer = answers.pop(0) if answers else 200
        if request.path in self.holds:
            self.holds[request.path].wait(DEADLINE_SECONDS)
        return answer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing when a sender hangs up: some tests make it."""


class QuietHandler(BaseHTTPRequestHandler):
    """Writes no log."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its signature
        """Drop it."""
        del format, args


_Server = TypeVar("_Server", bound=HoldingServer[Any])


@contextmanager
def running(server: _Server) -> Generator[_Server]:
    """Run a server; what it still holds at the end is let go of."""
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        for held in server.holds.values():
            held.set()
        server.shutdown()
        server.server_close()
        thread.join()
