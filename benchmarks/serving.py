"""A server of a predictor with settings of its own, for the benchmarks that compare servekit with itself."""

import asyncio
import contextlib
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import yaml

from benchmarks.load.http import Connection, make_get

__all__ = ["PROJECTS", "open_connections", "serve"]

PROJECTS = Path(__file__).parent / "projects"
_READY_SECONDS = 30.0


@contextlib.contextmanager
def serve(project: str, predictor: str, **settings: object) -> Iterator[int]:
    """Run a server for a predictor in `projects/`; gives its port.

    Args:
        project: The folder.
        predictor: The class or function in its `predict.py`.
        **settings: What stands below `serve`.
    """
    with tempfile.TemporaryDirectory(prefix="servekit-benchmark-") as temporary, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
        probe.close()
        shutil.copy(PROJECTS / project / "predict.py", temporary)
        serve_section = {"host": "127.0.0.1", "port": port, "log_level": "warning", **settings}
        spec = {"predictor": f"predict.py:{predictor}", "serve": serve_section}
        (Path(temporary) / "servekit.yaml").write_text(yaml.safe_dump(spec), encoding="utf-8")
        process = subprocess.Popen([sys.executable, "-m", "servekit.server", f"--spec={temporary}"])
        try:
            yield port
        finally:
            process.terminate()
            process.wait(_READY_SECONDS)


async def open_connections(port: int, count: int) -> list[Connection]:
    """Wait until the server is ready, and connect so many clients."""
    async with asyncio.timeout(_READY_SECONDS):
        while True:
            with contextlib.suppress(OSError):
                connection = await Connection.open(port)
                answer = await connection.ask(make_get("/readyz"))
                connection.close()
                if answer.status == 200:
                    return [await Connection.open(port) for _ in range(count)]
            await asyncio.sleep(0.05)
