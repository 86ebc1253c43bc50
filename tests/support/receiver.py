"""A real HTTP server that receives webhooks, for tests."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from holding_server import DEADLINE_SECONDS, HoldingServer, QuietHandler, running

__all__ = ["Post", "Receiver", "run_receiver"]


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


class Receiver(HoldingServer[Post]):
    """Takes webhooks."""

    request_queue_size = 512

    def __init__(self, host: str = "127.0.0.1") -> None:
        super().__init__(host, _Handler)

    @property
    def posts(self) -> list[Post]:
        """What came, in the order of its arrival."""
        return self.requests

    def wait(self, path: str, condition: Callable[[list[Post]], bool]) -> list[Post]:
        """Wait until what came to a path is as it should be."""
        with self.news:
            assert self.news.wait_for(lambda: condition(self.at(path)), DEADLINE_SECONDS), self.at(path)
            return self.at(path)

    def wait_for_end(self, path: str) -> list[Post]:
        """Wait for `completed`."""
        return self.wait(path, lambda posts: any(post.event == "completed" for post in posts))


class _Handler(QuietHandler):
    def do_POST(self) -> None:  # noqa: N802 - the name that http.server looks for
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


def run_receiver(host: str = "127.0.0.1") -> AbstractContextManager[Receiver]:
    """Run a receiver; what it still holds at the end is let go of."""
    return running(Receiver(host))
