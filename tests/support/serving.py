"""Real servers on loopback, for tests over HTTP."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml

__all__ = ["DEADLINE_SECONDS", "LogLine", "Server", "StartServer", "wait_until"]

DEADLINE_SECONDS = 30.0

LogLine = dict[str, Any]


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for what only looking tells, such as a file that another process makes."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


class Server:
    """A server process, its port and what it logged."""

    def __init__(self, root: Path, *command: str) -> None:
        self.root = root
        self.log: list[LogLine] = []
        self._news = threading.Condition()
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,  # not a terminal, in which SIGHUP means something else
            stderr=subprocess.PIPE,
            env={key: value for key, value in os.environ.items() if not key.startswith("SERVEKIT_")},
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def wait_for(self, condition: Callable[[LogLine], bool]) -> LogLine:
        """Wait for a line of the log."""

        def find() -> LogLine | None:
            return next((line for line in self.log if condition(line)), None)

        with self._news:
            assert self._news.wait_for(lambda: find() or self._is_over(), DEADLINE_SECONDS), self.log
            found = find()
        assert found is not None, self.log
        return found

    @property
    def url(self) -> str:
        return str(self.wait_for(lambda line: "url" in line)["url"])

    def client(self) -> httpx.Client:
        # Without TLS there is nothing to verify, and the certificates take 40 ms to load.
        return httpx.Client(base_url=self.url, timeout=DEADLINE_SECONDS, verify=False)

    def wait_until_ready(self) -> None:
        self.wait_for(lambda line: line["event"] == "worker ready")

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, wait for the end and return the exit code."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        code = self.process.wait(DEADLINE_SECONDS)
        self._reader.join(DEADLINE_SECONDS)
        return code

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.wait()

    def _is_over(self) -> bool:
        return not self._reader.is_alive()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            try:
                entry = json.loads(line)
            except ValueError:
                entry = {"event": line.decode().rstrip(), "level": "raw"}
            with self._news:
                self.log.append(entry)
                self._news.notify_all()
        self.process.stderr.close()


class StartServer:
    """Starts servers, and sees to it that none of them is left."""

    def __init__(self, servers: ExitStack, make_root: Callable[[], Path]) -> None:
        self._servers = servers
        self._make_root = make_root

    def __call__(
        self, code: str, *flags: str, predictor: str = "predict.py:Predictor", ready: bool = True, **serve: Any
    ) -> Server:
        """Start a server for a piece of code."""
        root = self._make_root()
        (root / "predict.py").write_text(textwrap.dedent(code))
        (root / "servekit.yaml").write_text(yaml.safe_dump({"predictor": predictor, "serve": serve}))
        module = (sys.executable, "-m", "servekit.server")
        server = self.adopt(root, *module, f"--spec={root}", "--host=127.0.0.1", "--port=0", *flags)
        if ready:
            server.wait_until_ready()
        return server

    def adopt(self, root: Path, *command: str) -> Server:
        """Start a server by a command of the test's own."""
        server = Server(root, *command)
        self._servers.callback(server.close)
        return server

    @contextmanager
    def until_end(self) -> Generator[None]:
        """End with the block what is started in it: a server whose predictor is broken tries it again and again."""
        outside = self._servers
        try:
            with ExitStack() as self._servers:
                yield
        finally:
            self._servers = outside
