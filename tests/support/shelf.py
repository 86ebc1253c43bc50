"""A file server on loopback that can be told to misbehave."""

import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

__all__ = ["Shelf"]


class Shelf:
    """Serves bytes by path, and counts who asks.

    Attributes:
        files: What is served.
        asked: How often each path was asked for.
        breaks: How many of the next requests for a path end in the middle of the file.
        statuses: Answered instead of the file.
        gate: Requests wait for it.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: Counter[str] = Counter()
        self.breaks: Counter[str] = Counter()
        self.statuses: dict[str, list[int]] = {}
        self.gate = threading.Event()
        self.gate.set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._make_handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/{path}"

    def close(self) -> None:
        self.gate.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        path = handler.path.lstrip("/").partition("?")[0]
        self.asked[path] += 1
        self.gate.wait()
        statuses = self.statuses.get(path)
        status = statuses.pop(0) if statuses else 200 if path in self.files else 404
        body = self.files[path] if status == 200 else b""
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        if self.breaks[path]:
            self.breaks[path] -= 1
            body = body[: len(body) // 2]
        handler.wfile.write(body)

    def _make_handler(self) -> type[BaseHTTPRequestHandler]:
        shelf = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                shelf.answer(self)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the interface
                """Say nothing."""

        return Handler
