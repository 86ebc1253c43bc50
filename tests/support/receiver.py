"""A real HTTP server that receives webhooks, for tests."""

import json
import threading
from collections import defaultdict
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["Post", "Receiver", "run_receiver"]

_DEADLINE_SECONDS = 30.0

Answer = int | tuple[int, dict[str, str]]


@dataclass(frozen=True)
class Post:
    """One webhook as it came."""

    path: str
    headers: dict[str, str]
    body: bytes
    prediction: dict[str, Any] = field(repr=False)

    @property
    def event(self) -> str:
        return self.headers["servekit-webhook-event"]

    @property
    def sequence(self) -> int:
        return int(self.headers["servekit-webhook-sequence"])


class Receiver(ThreadingHTTPServer):
    """Takes every webhook with 200, unless told otherwise for its path.

    Attributes:
        answers: Statuses, some with headers, to answer a path with in turn, before 200.
        holds: Paths that get no answer before their event is set.
    """

    request_queue_size = 512
    daemon_threads = True

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.posts: list[Post] = []
        self.answers: defaultdict[str, list[Answer]] = defaultdict(list)
        self.holds: dict[str, threading.Event] = {}
        self._news = threading.Condition()
        super().__init__((host, 0), _Handler)
        self.url = f"http://{host}:{self.server_address[1]}"

    def at(self, path: str) -> list[Post]:
        """Return what came to a path so far."""
        with self._news:
            return [post for post in self.posts if post.path == path]

    def wait(self, path: str, condition: Callable[[list[Post]], bool]) -> list[Post]:
        """Wait until what came to a path is as it should be."""
        with self._news:  # a condition's lock may be taken again by its holder
            assert self._news.wait_for(lambda: condition(self.at(path)), _DEADLINE_SECONDS), self.at(path)
            return self.at(path)

    def wait_for_end(self, path: str) -> list[Post]:
        """Wait for `completed`."""
        return self.wait(path, lambda posts: any(post.event == "completed" for post in posts))

    def hold(self, path: str) -> threading.Event:
        """Answer a path no more until the event is set."""
        self.holds[path] = threading.Event()
        return self.holds[path]

    def take(self, post: Post) -> Answer:
        """Note a webhook, and return what it is to be answered."""
        with self._news:
            self.posts.append(post)
            self._news.notify_all()
            answers = self.answers[post.path]
            answer = answers.pop(0) if answers else 200
        if post.path in self.holds:
            self.holds[post.path].wait(_DEADLINE_SECONDS)
        return answer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing when a sender hangs up: some tests make it."""


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        receiver = self.server
        assert isinstance(receiver, Receiver)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = receiver.take(Post(self.path, headers, body, json.loads(body)))
        status, more = answer if isinstance(answer, tuple) else (answer, {})
        self.send_response(status)
        for name, value in more.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its signature
        del format, args


@contextmanager
def run_receiver(host: str = "127.0.0.1") -> Generator[Receiver]:
    """Run a receiver; what it still holds at the end is let go of."""
    receiver = Receiver(host)
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
