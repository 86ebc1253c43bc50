"""What a cancel costs, for code that does not want to stop: `python -m benchmarks.cancel [--rounds N] [--grace S]`.

Over HTTP, with the predictors in `tests/projects/stubborn`. A client waits for its answer, and another one
cancels the prediction. Medians over the rounds, in milliseconds from the cancel on:

    answer     the waiting client has its answer
    slot       a prediction that is sent at once has run, in the same worker or in its replacement
    neighbour  what became of another prediction that ran in the same worker, with `concurrency: 2`

The starting of a replacement, which is most of "slot", is Python's and the model's: here a model without any weights.
"""

import argparse
import asyncio
import contextlib
import json
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import httpx

from servekit.spec.units import format_duration

PROJECT = Path(__file__).parents[1] / "tests/projects/stubborn"
HANG_TIMEOUT = "2s"
DEADLINE_SECONDS = 30.0

T = TypeVar("T")


@dataclass(frozen=True)
class Case:
    """Code that does not want to stop: what it does, and where it stands."""

    what: str
    kind: str
    how: str


CASES = (
    Case("a busy loop in Python", "function", "busy_loop"),
    Case("`time.sleep`", "function", "time_sleep"),
    Case("a blocking `os.read`", "function", "blocking_read"),
    Case("a C call without the GIL", "function", "c_without_the_gil"),
    Case("a C call that holds the GIL", "function", "c_with_the_gil"),
    Case("`except BaseException: pass` in a loop", "function", "swallows_the_cancellation"),
    Case("a generator that ignores its closing", "generator", "ignores_close"),
    Case("a task that shields itself", "task", "shields_itself"),
)


@dataclass(frozen=True)
class Round:
    """What was measured once."""

    answer_ms: float
    slot_ms: float
    is_same_worker: bool


async def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cancel", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often everything is measured (5)")
    parser.add_argument("--grace", type=float, default=0.5, help="serve.cancel_grace in seconds (0.5)")
    arguments = parser.parse_args()
    grace = format_duration(arguments.grace)
    print(f"cancel_grace {grace}; medians of {arguments.rounds} rounds; hang_timeout {HANG_TIMEOUT} for neighbours\n")
    print("| code | answer | slot | the slot is that of | neighbour |")
    print("| --- | ---: | ---: | --- | --- |")
    for case in CASES:
        rounds = [await measure(case, grace) for _ in range(arguments.rounds)]
        neighbour = await watch_neighbour(case, grace)
        answer = statistics.median(each.answer_ms for each in rounds)
        slot = statistics.median(each.slot_ms for each in rounds)
        owner = "the same worker" if all(each.is_same_worker for each in rounds) else "a new worker"
        print(f"| {case.what} | {answer:.0f} ms | {slot:.0f} ms | {owner} | {neighbour} |", flush=True)


async def measure(case: Case, grace: str) -> Round:
    """Cancel once, in a server of its own."""
    async with run_server(case, grace, {"concurrency": 1}) as (client, root):
        (root / "gate").touch()
        before = await ask_worker(client)
        waiting = asyncio.create_task(timed(begin(client, root, case.how, "stubborn")))
        await until((root / f"begun-{case.how}").exists)
        began = time.perf_counter()
        await client.post("/predictions/stubborn/cancel")
        after, freed_at = await timed(ask_worker(client))
        _, answered_at = await waiting
        return Round((answered_at - began) * 1000, (freed_at - began) * 1000, before == after)


async def watch_neighbour(case: Case, grace: str) -> str:
    """Cancel while another prediction runs in the same worker, and say what became of that."""
    async with run_server(case, grace, {"concurrency": 2, "hang_timeout": HANG_TIMEOUT}) as (client, root):
        neighbour = asyncio.create_task(begin(client, root, "neighbour", "neighbour"))
        await until((root / "begun-neighbour").exists)
        waiting = asyncio.create_task(begin(client, root, case.how, "stubborn"))
        await until((root / f"begun-{case.how}").exists)
        await client.post("/predictions/stubborn/cancel")
        await waiting
        (root / "gate").touch()
        answer = (await neighbour).json()
        status: str = answer["status"]
        return status if answer["error"] is None or "hang_timeout" not in answer["error"] else "ended by hang_timeout"


@contextlib.asynccontextmanager
async def run_server(
    case: Case, grace: str, limits: dict[str, object]
) -> AsyncGenerator[tuple[httpx.AsyncClient, Path]]:
    """Serve a stubborn predictor in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "predict.py").write_text((PROJECT / f"{case.kind}.py").read_text())
        serve = {"cancel_grace": grace, "shutdown_grace": 0, "log_format": "json", **limits}
        (root / "servekit.yaml").write_text(json.dumps({"predictor": "predict.py:predict", "serve": serve}))
        command = (sys.executable, "-m", "servekit.server", f"--spec={root}", "--host=127.0.0.1", "--port=0")
        server = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
        try:
            url = await find_url(server)
            async with httpx.AsyncClient(base_url=url, timeout=DEADLINE_SECONDS, trust_env=False) as client:
                await until_ready(client)
                yield client, root
        finally:
            server.terminate()
            await server.communicate()


async def find_url(server: asyncio.subprocess.Process) -> str:
    """Read in its log where a server listens."""
    assert server.stderr is not None
    async for line in server.stderr:
        _, found, rest = line.decode().partition('"url":"')
        if found:
            return rest.partition('"')[0]
    raise SystemExit("the server did not start")


async def until_ready(client: httpx.AsyncClient) -> None:
    """Wait until predictions are taken."""
    while (await client.get("/readyz")).status_code != 200:  # noqa: ASYNC110 - another process has no event to wait for
        await asyncio.sleep(0.01)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what only looking tells."""
    while not condition():  # noqa: ASYNC110 - likewise
        await asyncio.sleep(0.001)


async def begin(client: httpx.AsyncClient, root: Path, how: str, name: str) -> httpx.Response:
    """Run a prediction and return its answer."""
    (root / f"begun-{how}").unlink(missing_ok=True)
    return await client.put(f"/predictions/{name}", json={"input": {"how": how}})


async def ask_worker(client: httpx.AsyncClient) -> object:
    """Return the process that runs predictions now."""
    return (await client.post("/predictions", json={"input": {}})).json()["output"]


async def timed(awaitable: Awaitable[T]) -> tuple[T, float]:
    """Wait for something, and return it with the time at which it was there."""
    return await awaitable, time.perf_counter()


if __name__ == "__main__":
    asyncio.run(main())
