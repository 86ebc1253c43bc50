"""A server under soak: started, looked into, and ended."""

import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import yaml
from serving import Server

from soak.chaos import list_workers

__all__ = ["DEADLINE_SECONDS", "Census", "SoakedServer", "run_server"]

DEADLINE_SECONDS = 4.0
_WORKERS = 4
_HISTORY_SECONDS = 3.0
_SERVE = {
    "workers": _WORKERS,
    "concurrency": 4,
    "queue": {"max": 100, "timeout": 3},
    "timeout": DEADLINE_SECONDS,
    "cancel_grace": 0.5,
    "setup_timeout": 15,
    "hang_timeout": 8,
    "history": {"ttl": _HISTORY_SECONDS, "max": 10_000},
    "log_format": "json",
}


@dataclass(frozen=True)
class Census:
    """What a server holds when nothing is asked of it.

    Attributes:
        tasks: The names of its asyncio tasks.
        threads: The names of its threads.
        descriptors: How many file descriptors it has open.
        processes: How many processes it has started that are still there, at whatever remove.
        files: What lies in its temporary folders.
        memory_bytes: Its resident memory.
    """

    tasks: list[str]
    threads: list[str]
    descriptors: int
    processes: int
    files: list[str]
    memory_bytes: int

    def differences(self, before: "Census") -> list[str]:
        """Return what is other than it was."""
        found = [
            f"{name}: {getattr(before, name)} became {getattr(self, name)}"
            for name in ("descriptors", "processes")
            if getattr(self, name) != getattr(before, name)
        ]
        for name in ("tasks", "threads", "files"):
            was, now = Counter[str](getattr(before, name)), Counter[str](getattr(self, name))
            if was != now:
                found.append(f"{name}: {dict(now - was)} more, {dict(was - now)} less")
        return found


class SoakedServer:
    """A server with the predictors of the soak."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server = server
        self.process = psutil.Process(server.process.pid)
        url = httpx.URL(server.url)
        self.address = (url.host, url.port or 80)
        self._folder = folder

    @property
    def ledger(self) -> list[str]:
        """The ids of what was run, once for each time."""
        return (self._folder / "ledger").read_text().split()

    @property
    def ends(self) -> list[tuple[str, str, float]]:
        """The ends of predictions, once for each time: id, status, and how many seconds it took from its beginning."""
        lines = (line.split() for line in (self._folder / "ends").read_text().splitlines())
        return [(name, status, float(seconds)) for name, status, seconds in lines]

    @property
    def starts(self) -> int:
        """How many workers have become ready."""
        return len([line for line in self.server.log if line["event"] == "worker ready"])

    def settle(self) -> Census:
        """Wait until nothing is left to do, and return what the server holds then."""
        wait_until(self._is_calm, 90)
        # A place that was filled otherwise meanwhile is looked at once more when its pause is over.
        wait_until(lambda: "Places._refill" not in self.take_census().tasks, 90)
        return self.take_census()

    def take_census(self) -> Census:
        """Return what the server holds."""
        path = self._folder / "census"
        path.unlink(missing_ok=True)
        self.process.send_signal(signal.SIGUSR1)
        wait_until(path.exists, 10)
        told: dict[str, Any] = json.loads(path.read_text())
        return Census(
            tasks=told["tasks"],
            threads=told["threads"],
            descriptors=self.process.num_fds(),
            processes=len(self.process.children(recursive=True)),
            files=self._list_files(),
            memory_bytes=self.process.memory_info().rss,
        )

    def end(self) -> list[str]:
        """End the server in order, and say what is not as it should be then."""
        code = self.server.stop()
        left = [path.name for path in (self._folder / "tmp").iterdir()]
        # The workers have the folder in their arguments.
        orphans = [each.pid for each in psutil.process_iter() if str(self._folder) in " ".join(_arguments_of(each))]
        found = {"exit code": code, "left in the temporary folder": left, "processes that outlived it": orphans}
        return [f"after the server's end: {what}: {value}" for what, value in found.items() if value]

    def _is_calm(self) -> bool:
        with httpx.Client(base_url=self.server.url, verify=False) as client:
            ready = client.get("/readyz").status_code == 200
            kept = client.get("/predictions").json()["results"]
        workers = {worker.pid for worker in list_workers(self.process)}
        were_ready = {line["pid"] for line in self.server.log if line["event"] == "worker ready"}
        connections = [each for each in self.process.net_connections("tcp") if each.status == "ESTABLISHED"]
        return ready and not kept and not connections and len(workers) == _WORKERS and workers <= were_ready

    def _list_files(self) -> list[str]:
        (own,) = (self._folder / "tmp").iterdir()
        # A walk takes no offence at what goes meanwhile.
        return sorted(
            os.path.relpath(f"{at}/{name}", own) for at, folders, files in os.walk(own) for name in (*folders, *files)
        )


@contextmanager
def run_server(folder: Path, predictor: str) -> Generator[SoakedServer]:
    """Run a server for one of the predictors, in a folder of its own."""
    (folder / "tmp").mkdir(parents=True)
    code = Path(__file__).with_name("predict.py").read_text()
    (folder / "predict.py").write_text(code)
    (folder / "servekit.yaml").write_text(yaml.safe_dump({"predictor": f"predict.py:{predictor}", "serve": _SERVE}))
    variables = {
        "TMPDIR": folder / "tmp",
        "SOAK_LEDGER": folder / "ledger",
        "PYTHONPATH": os.pathsep.join((str(Path(__file__).parent.parent), os.environ.get("PYTHONPATH", ""))),
    }
    settings = (f"{name}={value}" for name, value in variables.items())
    program = (sys.executable, "-m", "soak.program", str(folder))
    server = Server(folder, "env", *settings, *program, f"--spec={folder}", "--host=127.0.0.1", "--port=0")
    try:
        server.wait_until_ready()
        yield SoakedServer(server, folder)
    finally:
        server.close()


def _arguments_of(process: psutil.Process) -> list[str]:
    try:
        arguments: list[str] = process.cmdline()
    except psutil.Error:  # it has gone meanwhile
        return []
    return arguments


def wait_until(condition: Callable[[], bool], seconds: float) -> None:
    """Wait for what only looking tells."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)
