"""A server's processes: started on their own CPU, measured, and all gone at the end."""

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.systems import System, prepare_launch

__all__ = ["LOAD_CPUS", "SERVER_CPUS", "Server", "ServerFailedError", "pinned_to", "read_busy_seconds", "run_server"]

_START_SECONDS = 30.0
_STOP_SECONDS = 5.0
_LOG_TAIL_LINES = 25
_CPUS = sorted(os.sched_getaffinity(0))
# The server has one CPU for all its processes, the load another one; on a machine with one CPU they share it.
SERVER_CPUS = {_CPUS[0]}
LOAD_CPUS = {_CPUS[1]} if len(_CPUS) > 1 else {_CPUS[0]}


class ServerFailedError(Exception):
    """A server did not start, or ended; the message has the end of its log."""


@contextlib.contextmanager
def pinned_to(cpus: set[int]) -> Generator[None]:
    """Let processes that are started meanwhile inherit these CPUs."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def read_busy_seconds() -> float:
    """Give how long the server's CPU has been busy since the machine started, for whomever."""
    names = {f"cpu{cpu}" for cpu in SERVER_CPUS}
    lines = (line.split() for line in Path("/proc/stat").read_text().splitlines())
    # user, nice, system, idle, iowait, irq, softirq, steal
    ticks = ([int(field) for field in line[1:9]] for line in lines if line[0] in names)
    return sum(sum(line) - line[3] - line[4] for line in ticks) / os.sysconf("SC_CLK_TCK")


@dataclass
class Server:
    """A running server.

    Attributes:
        system: What it is.
        port: Where it listens on loopback.
        ready_seconds: From its start to the first answer that says it is ready.
    """

    system: System
    port: int
    ready_seconds: float
    process: subprocess.Popen[bytes]
    log: Path

    def check(self) -> None:
        """Raise when it has ended.

        Raises:
            ServerFailedError: It has; the message says how and why.
        """
        if (code := self.process.poll()) is not None:
            raise ServerFailedError(f"{self.system.name} ended with code {code}:\n{_read_tail(self.log)}")

    def cpu_seconds(self) -> float:
        """Give the CPU time that all its processes have used, those that have ended included."""
        ticks = sum(sum(stat.ticks) for stat in _list_tree(self.process.pid))
        return ticks / os.sysconf("SC_CLK_TCK")

    def pss_megabytes(self) -> float:
        """Give its memory, with pages shared by several processes counted once."""
        total = 0
        for stat in _list_tree(self.process.pid):
            with contextlib.suppress(OSError):
                for line in Path(f"/proc/{stat.pid}/smaps_rollup").read_text().splitlines():
                    if line.startswith("Pss:"):
                        total += int(line.split()[1])
        return total / 1000 * 1.024  # The kernel's kB is 1,024 bytes.


@dataclass(frozen=True)
class _Stat:
    pid: int
    parent: int
    session: int
    ticks: tuple[int, ...]


def _list_tree(root: int) -> list[_Stat]:
    """List a process with its descendants, and whoever is still in the session that it leads."""
    stats = {stat.pid: stat for stat in _read_stats()}
    members = {pid for pid, stat in stats.items() if root in (pid, stat.session)}
    while found := {pid for pid, stat in stats.items() if stat.parent in members} - members:
        members |= found
    return [stats[pid] for pid in members]


def _read_stats() -> Iterator[_Stat]:
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            # The name in brackets may hold spaces. After it: state, parent, group, session, ..., four times.
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if fields[0] != "Z":
                yield _Stat(int(folder.name), int(fields[1]), int(fields[3]), tuple(map(int, fields[11:15])))


@contextlib.contextmanager
def run_server(system: System, project: str) -> Generator[Server]:
    """Run a server on its CPU until the block ends.

    Raises:
        ServerFailedError: It did not get ready within 30 seconds; the message has the end of its log.
    """
    with tempfile.TemporaryDirectory(prefix="servekit-benchmark-", ignore_cleanup_errors=True) as temporary:
        port = _find_free_port()
        launch = prepare_launch(system, project, Path(temporary) / "project", port)
        log = Path(temporary) / "log"
        with log.open("wb") as output, pinned_to(SERVER_CPUS):
            started = time.perf_counter()
            process = subprocess.Popen(
                launch.command,
                cwd=launch.folder,
                env=dict(launch.environ),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            server = Server(system, port, 0.0, process, log)
            _wait_until_ready(server, started + _START_SECONDS)
            server.ready_seconds = time.perf_counter() - started
            yield server
        finally:
            _stop(process)


def _find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_ready(server: Server, deadline: float) -> None:
    while not _is_ready(server):
        server.check()
        if time.perf_counter() > deadline:
            tail = _read_tail(server.log)
            raise ServerFailedError(f"{server.system.name} was not ready after {_START_SECONDS:.0f} s:\n{tail}")
        time.sleep(0.002)


def _is_ready(server: Server) -> bool:
    request = f"GET {server.system.ready_path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    try:
        with socket.create_connection(("127.0.0.1", server.port), timeout=2) as connection:
            connection.sendall(request.encode())
            answer = b""
            while part := connection.recv(65536):
                answer += part
    except OSError:
        return False
    return answer.startswith(b"HTTP/1.1 200") and server.system.ready_mark in answer


def _read_tail(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()[-_LOG_TAIL_LINES:]
    return "\n".join(f"    {line}" for line in lines) or "    (it wrote nothing)"


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask the server to stop, and kill whatever is left of it."""
    tree = _list_tree(process.pid)
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_SECONDS)
    left = {stat.pid for stat in _list_tree(process.pid)} | {stat.pid for stat in tree}
    alive = {stat.pid for stat in _read_stats()}
    for pid in left & alive:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait(_STOP_SECONDS)
