"""Closed-loop request load: with wrk where it is installed, else with the client in this package."""

import json
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.load.client import RequestLoad, run_client
from benchmarks.processes import LOAD_CPUS, pinned_to

__all__ = ["Requests", "send_requests"]

_SCRIPT = Path(__file__).with_name("check.lua")


@dataclass(frozen=True)
class Requests:
    """One body sent over and over.

    Attributes:
        input: The prediction's input.
        output: What must come back.
        connections: How many clients, each of which waits for its answer before it sends again.
    """

    input: dict[str, Any]
    output: Any
    connections: int


def send_requests(load: Requests, port: int, seconds: float) -> dict[str, Any]:
    """Run the load; gives seconds, ok, refused, wrong, errors, p50_ms and p99_ms."""
    if shutil.which("wrk") is None:
        return run_client(
            RequestLoad(port, seconds, load.connections, load.input, load.output, waits_when_refused=False)
        )
    with tempfile.TemporaryDirectory() as temporary, pinned_to(LOAD_CPUS):
        body, output = Path(temporary) / "body", Path(temporary) / "output"
        body.write_text(json.dumps({"input": load.input}))
        output.write_text(json.dumps(load.output))
        connections = ["--threads", "1", "--connections", str(load.connections)]
        timing = ["--duration", f"{seconds:.0f}s", "--timeout", "20s"]
        command = ["wrk", *connections, *timing, "--script", str(_SCRIPT), f"http://127.0.0.1:{port}"]
        finished = subprocess.run(
            [*command, "--", str(body), str(output)],
            check=True,
            capture_output=True,
            text=True,
            timeout=seconds + 30,
        )
    result: dict[str, Any] = json.loads(finished.stdout.splitlines()[-1])
    return result
