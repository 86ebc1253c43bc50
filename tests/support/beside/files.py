"""A place on loopback that files are fetched from and uploaded to."""

import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

__all__ = ["FILES", "Files", "Upload", "run_files"]

FILES: Final = {"/name.txt": b"fetched", "/other.txt": b"fetched too"}
"""What can be fetched."""

Upload = tuple[str, str, bytes]
"""Path, content type and content."""


class Files(ThreadingHTTPServer):
    """Serves FILES, and takes every upload.

    A path that holds `refused` is answered 403, one that holds `flaky` 500 when it comes for the first time, one that
    holds `moved` with a `Location`, and one that holds `slow` late.

    Attributes:
        uploads: What came, in order.
    """

    daemon_threads = True

    def __init__(self) -> None:
        self.uploads: list[Upload] = []
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def take(self, upload: Upload) -> tuple[int, dict[str, str]]:
        """Note an upload, and return status and headers of its answer."""
        path = upload[0]
        is_first = all(each[0] != path for each in self.uploads)
        self.uploads.append(upload)
        if "slow" in path:
            time.sleep(_SLOW_SECONDS)
        if "refused" in path:
            return 403, {}
        if "flaky" in path and is_first:
            return 500, {}
        return 201, {"Location": f"https://cdn.example/{path.rpartition('/')[2]}"} if "moved" in path else {}


_SLOW_SECONDS: Final = 0.5
"""Longer than the other uploads of a case take, by far."""


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        content = FILES.get(self.path)
        self.send_response(404 if content is None else 200)
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        self.wfile.write(content or b"")

    def do_PUT(self) -> None:
        files = self.server
        assert isinstance(files, Files)
        content = self._read_body()
        status, headers = files.take((self.path, self.headers.get("Content-Type", ""), content))
        self.send_response(status)
        for name, value in {"Content-Length": "0", **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def _read_body(self) -> bytes:
        if "Content-Length" in self.headers:
            return self.rfile.read(int(self.headers["Content-Length"]))
        content = b""
        while size := int(self.rfile.readline(), 16):
            content += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return content

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its signature
        del format, args


@contextmanager
def run_files() -> Generator[Files]:
    """Run it until the end of the block."""
    files = Files()
    thread = threading.Thread(target=files.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield files
    finally:
        files.shutdown()
        files.server_close()
        thread.join()
